import { registerNameSource } from "../common/rpc/name-resolver.ts";
import { registryNames } from "../common/rpc/registry-names.ts";
import { type Logger, silentLogger } from "../common/runtime/log.ts";
import { SystemClock } from "../common/runtime/system-clock.ts";
import { SystemRandom } from "../common/runtime/system-random.ts";
import { channelOf, type TlsOptions } from "../common/security/security-options.ts";
import { MeshClient, type MeshClientOptions } from "./mesh-client.ts";

/** Where a mesh has its etcd. */
export type MeshConnectionOptions = Omit<MeshClientOptions, "target"> & {
  /** Such as "http://127.0.0.1:2379"; at least one. */
  readonly etcdEndpoints: readonly string[];
  /** Of https endpoints: the certificates as `tls` has them; the machine's own roots when left out. */
  readonly etcdTls?: Omit<TlsOptions, "serverName">;
  /** Prefix of the mesh's keys, as its JOBMESH_CLUSTER; default "jobmesh". */
  readonly cluster?: string;
  /** Hears of etcd's comings and goings; nobody by default. */
  readonly log?: Logger;
};

/** A client that finds the schedulers by etcd. */
export type MeshConnection = {
  readonly client: MeshClient;
  /** Closes the client and lets go of etcd. */
  close(): Promise<void>;
};

let connections = 0;

/**
 * Connects to whichever schedulers of a mesh live, by the name `scheduler` in
 * its etcd: calls go to them in turn, and follow them as they come and go.
 * Calls wait for a first scheduler up to their timeout unless `waitForReady`
 * is false. One process may be connected to several meshes at once.
 */
export async function connectMesh(options: MeshConnectionOptions): Promise<MeshConnection> {
  const { etcdEndpoints, etcdTls, cluster = "jobmesh", log = silentLogger, ...calls } = options;
  // Loaded here, so that a client of one address needs no etcd.
  const { openEtcdRegistry } = await import("../common/adapter/etcd/open-registry.ts");
  const deps = { clock: new SystemClock(), random: new SystemRandom(), log };
  const tls = etcdTls === undefined ? null : channelOf({ tls: etcdTls }).tls;
  const registry = openEtcdRegistry(deps, { endpoints: etcdEndpoints, cluster, tls });
  await registry.start();
  connections += 1;
  const authority = `connection-${connections}`;
  const unregister = registerNameSource(registryNames(registry), authority);
  const client = new MeshClient({ waitForReady: true, ...calls, target: `etcd://${authority}/scheduler` });
  return {
    client,
    close: async () => {
      client.close();
      unregister();
      await registry.stop();
    },
  };
}
