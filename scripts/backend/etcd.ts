import { join } from "node:path";
import { freePorts } from "./free-ports.ts";
import { type DebianProgram, ensureProgram } from "./installation.ts";
import { ServerProcess } from "./server-process.ts";

const etcd: DebianProgram = {
  program: "etcd",
  packages: ["etcd-server", "etcd-client"],
  otherwise: "or set JOBMESH_TEST_ETCD to endpoints",
};

/** One real etcd node for tests (Debian's 3.4). It does not wait for the disk: its data is thrown away anyway. */
export class EtcdServer extends ServerProcess {
  constructor() {
    super({ name: "etcd", portCount: 2, prepare: async () => undefined, command, isReady }, freePorts);
  }

  /** The client endpoint, such as "http://127.0.0.1:2379". */
  get endpoint(): string {
    return `http://127.0.0.1:${this.ports[0]}`;
  }
}

async function command(folder: string, ports: readonly number[]): Promise<{ program: string; args: string[] }> {
  const client = `http://127.0.0.1:${ports[0]}`;
  const peer = `http://127.0.0.1:${ports[1]}`;
  const args = [
    ["--name", "test"],
    ["--data-dir", join(folder, "data")],
    ["--listen-client-urls", client],
    ["--advertise-client-urls", client],
    ["--listen-peer-urls", peer],
    ["--initial-advertise-peer-urls", peer],
    ["--initial-cluster", `test=${peer}`],
    ["--log-level", "warn"],
    ["--logger", "zap"],
    ["--unsafe-no-fsync"],
  ].flat();
  return { program: await ensureProgram(etcd), args };
}

async function isReady(ports: readonly number[]): Promise<boolean> {
  const answer = await fetch(`http://127.0.0.1:${ports[0]}/health`, { signal: AbortSignal.timeout(2_000) });
  return ((await answer.json()) as { health?: string }).health === "true";
}
