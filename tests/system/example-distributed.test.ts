/** examples/report on real etcd, Kafka and MariaDB: found by name, fed by its lane. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ensureGrpcurl } from "../../scripts/tools.ts";
import { meshOnOwnServers } from "../support/real-mesh.ts";
import { checkReport } from "../support/report-example.ts";

test("the report example joins a mesh on real backends, answers JSON and bytes, fails as it says, and drains", async (t) => {
  const { processes, mesh, backends } = await meshOnOwnServers(t);
  const schedulers = await Promise.all([mesh.scheduler("scheduler-1"), mesh.scheduler("scheduler-2")]);
  const address = schedulers[0].address;
  const env = {
    JOBMESH_ETCD_ENDPOINTS: backends.etcdEndpoints.join(","),
    JOBMESH_KAFKA_BROKERS: backends.kafkaBrokers.join(","),
    JOBMESH_CLUSTER: backends.cluster,
  };
  const client = processes.client(address, { timeoutMs: 30_000, waitForReady: true });
  const grpcurl = await ensureGrpcurl();
  await checkReport({ t, processes, client, address, grpcurl, env });
  for (const { process } of schedulers) assert.deepEqual(await process.end("SIGTERM"), { code: 0, signal: null });
});
