/** Meshes of real processes on real servers, each with a database and a cluster of its own. */
import type { TestContext } from "node:test";
import { type Backends, createDatabase, startBackends, testCluster } from "./backends.ts";
import { DistributedMesh, type MeshBackends } from "./distributed-mesh.ts";
import { MeshProcesses } from "./mesh-process.ts";

/** A mesh for a test, and what it runs on. */
export type RealMesh = {
  readonly processes: MeshProcesses;
  readonly mesh: DistributedMesh;
  readonly backends: MeshBackends;
};

/** A mesh on servers that a file has started for all of its tests. What is made first ends first: processes, then their database. */
export async function meshOn(t: TestContext, servers: Backends): Promise<RealMesh> {
  const processes = new MeshProcesses(t);
  const database = await createDatabase(servers.mysqlUrl);
  t.after(() => database.drop());
  const { etcdEndpoints, kafkaBrokers } = servers;
  const backends = { etcdEndpoints, kafkaBrokers, mysqlUrl: database.url, cluster: testCluster() };
  return { processes, mesh: new DistributedMesh(processes, backends), backends };
}

/** A mesh on all servers, started for this test, which stop when it has ended. */
export async function meshOnOwnServers(t: TestContext): Promise<RealMesh> {
  const servers = await startBackends({ etcd: true, kafka: true, mysql: true });
  const real = await meshOn(t, servers);
  t.after(() => servers.stop());
  return real;
}
