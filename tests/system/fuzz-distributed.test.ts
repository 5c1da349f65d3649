/** The same at a scheduler on MariaDB, Kafka and etcd: what SQLite takes as it comes, MariaDB may refuse. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { checkAfterFuzz, fuzzMesh } from "../support/fuzz/fuzz-mesh.ts";
import { meshOnOwnServers } from "../support/real-mesh.ts";

test("no request of any call fails a scheduler on MariaDB, Kafka and etcd, whatever is in it", async (t) => {
  const { processes, mesh, backends } = await meshOnOwnServers(t);
  const scheduler = await mesh.scheduler("scheduler-1");
  const executor = await mesh.executor("executor-1", 16);
  await fuzzMesh(t, processes, scheduler.address, [scheduler.process, executor]);
  assert.deepEqual(await executor.end("SIGTERM", 60_000), { code: 0, signal: null }, executor.stderr.slice(-4_000));
  const ended = await scheduler.process.end("SIGTERM", 60_000);
  assert.deepEqual(ended, { code: 0, signal: null }, scheduler.process.stderr.slice(-4_000));
  await checkAfterFuzz(backends.mysqlUrl);
});
