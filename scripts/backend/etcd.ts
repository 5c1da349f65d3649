import { join } from "node:path";
import { type DebianProgram, ensureProgram } from "./installation.ts";
import type { ContainerRun } from "./server-container.ts";
import { TestServer, type TestServerRecipe } from "./test-server.ts";

const etcd: DebianProgram = {
  program: "etcd",
  packages: ["etcd-server", "etcd-client"],
  otherwise: "or set JOBMESH_TEST_ETCD to endpoints",
};

/** A mirror of etcd's release image: etcd publishes none where engines look for a name without a host. */
const image = "rancher/mirrored-coreos-etcd:v3.5.12";

/** How to run etcd, either way. */
export const etcdRecipe: TestServerRecipe = { name: "etcd", portCount: 2, prepare, command, container, isReady };

/** One real etcd node for tests (Debian's 3.4; 3.5 in a container). It does not wait for the disk: its data is thrown away anyway. */
export class EtcdServer extends TestServer {
  constructor() {
    super(etcdRecipe);
  }

  /** The client endpoint, such as "http://127.0.0.1:2379". */
  get endpoint(): string {
    return `http://127.0.0.1:${this.ports[0]}`;
  }
}

async function prepare(): Promise<void> {
  await ensureProgram(etcd);
}

async function command(folder: string, ports: readonly number[]): Promise<{ program: string; args: string[] }> {
  return { program: await ensureProgram(etcd), args: settings(join(folder, "data"), "127.0.0.1", ports) };
}

function container(ports: readonly number[]): ContainerRun {
  const args = settings("/var/lib/etcd", "0.0.0.0", ports);
  return { image, program: "/usr/local/bin/etcd", environment: {}, args };
}

function settings(data: string, host: string, [client, peer]: readonly number[]): string[] {
  const peerUrl = `http://127.0.0.1:${peer}`;
  return [
    ["--name", "test"],
    ["--data-dir", data],
    ["--listen-client-urls", `http://${host}:${client}`],
    ["--advertise-client-urls", `http://127.0.0.1:${client}`],
    ["--listen-peer-urls", peerUrl],
    ["--initial-advertise-peer-urls", peerUrl],
    ["--initial-cluster", `test=${peerUrl}`],
    ["--log-level", "warn"],
    ["--logger", "zap"],
    ["--unsafe-no-fsync"],
  ].flat();
}

async function isReady(ports: readonly number[]): Promise<boolean> {
  const answer = await fetch(`http://127.0.0.1:${ports[0]}/health`, { signal: AbortSignal.timeout(2_000) });
  return ((await answer.json()) as { health?: string }).health === "true";
}
