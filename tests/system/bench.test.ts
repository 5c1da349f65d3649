/** The benchmarks run, tiny, so that they never rot; what they measure here means nothing. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";
import { startBackends } from "../support/backends.ts";

const run = promisify(execFile);

for (const mesh of ["embedded", "distributed"]) {
  test(`the ${mesh} benchmark runs, and loses and doubles nothing`, async (t) => {
    const backends = await startBackends({ etcd: true, kafka: true, mysql: true });
    t.after(() => backends.stop());
    const env = {
      ...process.env,
      JOBMESH_TEST_ETCD: backends.etcdEndpoints.join(","),
      JOBMESH_TEST_KAFKA: backends.kafkaBrokers.join(","),
      JOBMESH_TEST_MYSQL: backends.mysqlUrl,
    };
    const { stdout } = await run(process.execPath, ["bench/main.ts", `--${mesh}`, "--tiny"], { env, timeout: 120_000 });
    assert.match(stdout, new RegExp(`^\\| \\| ${mesh} \\|$`, "m"));
    assert.match(stdout, /^\| lost \/ doubled \| 0 \/ 0 \|$/m);
  });
}
