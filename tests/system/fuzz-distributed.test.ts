/** The same at a scheduler on MariaDB, Kafka and etcd: what SQLite takes as it comes, MariaDB may refuse. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createDatabase, startBackends, testCluster } from "../support/backends.ts";
import { DistributedMesh } from "../support/distributed-mesh.ts";
import { checkAfterFuzz, fuzzMesh } from "../support/fuzz/fuzz-mesh.ts";
import { MeshProcesses } from "../support/mesh-process.ts";

test("no request of any call fails a scheduler on MariaDB, Kafka and etcd, whatever is in it", async (t) => {
  const processes = new MeshProcesses(t);
  const backends = await startBackends({ etcd: true, kafka: true, mysql: true });
  const database = await createDatabase(backends.mysqlUrl);
  t.after(() => database.drop());
  t.after(() => backends.stop());
  const mesh = new DistributedMesh(processes, { ...backends, mysqlUrl: database.url, cluster: testCluster() });
  const scheduler = await mesh.scheduler("scheduler-1");
  const executor = await mesh.executor("executor-1", 16);
  await fuzzMesh(t, processes, scheduler.address, [scheduler.process, executor]);
  assert.deepEqual(await executor.end("SIGTERM", 60_000), { code: 0, signal: null }, executor.stderr.slice(-4_000));
  const ended = await scheduler.process.end("SIGTERM", 60_000);
  assert.deepEqual(ended, { code: 0, signal: null }, scheduler.process.stderr.slice(-4_000));
  await checkAfterFuzz(database.url);
});
