import { join, resolve } from "node:path";
import type { MeshProcess, MeshProcesses } from "./mesh-process.ts";

/** Where a test's mesh has its backends. */
export type MeshBackends = {
  readonly mysqlUrl: string;
  readonly kafkaBrokers: readonly string[];
  readonly etcdEndpoints: readonly string[];
  readonly cluster: string;
};

/** A scheduler that serves. */
export type RunningScheduler = { readonly process: MeshProcess; readonly address: string };

const TRUTH_EXECUTOR = resolve(import.meta.dirname, "truth-executor.ts");

/** Real scheduler and executor processes on real backends. */
export class DistributedMesh {
  readonly #processes: MeshProcesses;
  readonly #env: Readonly<Record<string, string>>;

  constructor(processes: MeshProcesses, backends: MeshBackends) {
    this.#processes = processes;
    this.#env = {
      JOBMESH_KAFKA_BROKERS: backends.kafkaBrokers.join(","),
      JOBMESH_ETCD_ENDPOINTS: backends.etcdEndpoints.join(","),
      JOBMESH_CLUSTER: backends.cluster,
      JOBMESH_STORE: backends.mysqlUrl,
    };
  }

  /** Starts a scheduler and waits until it serves. */
  async scheduler(schedulerId: string, env: Readonly<Record<string, string>> = {}): Promise<RunningScheduler> {
    const args = [
      "scheduler",
      "--scheduler-id",
      schedulerId,
      "--listen",
      "127.0.0.1:0",
      "--http-listen",
      "127.0.0.1:0",
    ];
    const process = this.#processes.start(args, { env: { ...this.#env, ...env } });
    const [, address = ""] = await process.printed(/"address":"([^"]+)".*"the scheduler serves"/, {
      stream: "stderr",
      waitMs: 40_000,
    });
    return { process, address };
  }

  /** Starts an executor, of commands and of the truth handler where no other program is named; waits until a scheduler took it. */
  async executor(
    executorId: string,
    slots: number,
    env: Readonly<Record<string, string>> = {},
    program: string = TRUTH_EXECUTOR,
  ): Promise<MeshProcess> {
    const { JOBMESH_STORE: _, ...shared } = this.#env;
    const process = this.#processes.start([], {
      program: [globalThis.process.execPath, program],
      env: {
        ...shared,
        JOBMESH_EXECUTOR_ID: executorId,
        JOBMESH_SLOTS: String(slots),
        JOBMESH_DATA_DIR: join(this.#processes.folder(), "data"),
        ...env,
      },
    });
    await process.printed(/"a home took the executor"/, { stream: "stderr", waitMs: 40_000 });
    return process;
  }
}
