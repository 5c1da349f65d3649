import { type ChildProcess, fork, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { RunReport } from "./run-record.ts";

/** A mesh under measurement, in processes of its own. */
export type BenchMesh = {
  readonly name: "embedded" | "distributed";
  /** Address of a scheduler. */
  readonly address: string;
  /** Runs that its handlers noted since the last report. */
  count(): Promise<number>;
  /** What its handlers noted since the last report. */
  report(): Promise<RunReport>;
  stop(): Promise<void>;
};

/** Slots of the one executor, as the first figures have it. */
const SLOTS = "1000";

/** One process on SQLite. */
export async function startEmbedded(): Promise<BenchMesh> {
  const dataDir = mkdtempSync(join(tmpdir(), "jobmesh-bench-"));
  const child = forkModule("embedded-mesh.ts", [
    ...["--data-dir", dataDir, "--slots", SLOTS],
    ...["--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"],
  ]);
  const { address } = (await nextMessage(child, "ready")) as { address: string };
  return {
    name: "embedded",
    address,
    ...recordOf(child),
    stop: async () => {
      await stopChild(child);
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

/** Where the backends of a distributed mesh are. */
export type BenchBackends = {
  readonly mysqlUrl: string;
  readonly kafkaBrokers: readonly string[];
  readonly etcdEndpoints: readonly string[];
};

/** One scheduler and one executor on MySQL, Kafka and etcd. */
export async function startDistributed(backends: BenchBackends): Promise<BenchMesh> {
  const dataDir = mkdtempSync(join(tmpdir(), "jobmesh-bench-"));
  const env = {
    JOBMESH_KAFKA_BROKERS: backends.kafkaBrokers.join(","),
    JOBMESH_ETCD_ENDPOINTS: backends.etcdEndpoints.join(","),
    JOBMESH_CLUSTER: `bench-${process.pid}`,
    JOBMESH_LOG_LEVEL: "warn",
  };
  const scheduler = spawn(
    process.execPath,
    [
      new URL("../services/cli/main.ts", import.meta.url).pathname,
      ...["scheduler", "--store", backends.mysqlUrl, "--data-dir", dataDir],
      ...["--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"],
    ],
    { env: { ...process.env, ...env, JOBMESH_LOG_LEVEL: "info" }, stdio: ["ignore", "inherit", "pipe"] },
  );
  const address = await addressOf(scheduler);
  const executor = forkModule("noop-executor.ts", [join(dataDir, "executor"), SLOTS], env);
  await nextMessage(executor, "ready");
  return {
    name: "distributed",
    address,
    ...recordOf(executor),
    stop: async () => {
      await stopChild(executor);
      scheduler.kill("SIGTERM");
      await new Promise((resolve) => scheduler.once("exit", resolve));
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

function forkModule(name: string, argv: readonly string[], env: Readonly<Record<string, string>> = {}): ChildProcess {
  const path = new URL(name, import.meta.url).pathname;
  return fork(path, [...argv], { env: { ...process.env, ...env }, stdio: ["ignore", "inherit", "inherit", "ipc"] });
}

function recordOf(child: ChildProcess): Pick<BenchMesh, "count" | "report"> {
  const ask = async (word: "count" | "report"): Promise<unknown> => {
    const answer = nextMessage(child, word);
    child.send(word);
    return answer;
  };
  return {
    count: async () => ((await ask("count")) as { count: number }).count,
    report: async () => ((await ask("report")) as { report: RunReport }).report,
  };
}

function nextMessage(child: ChildProcess, kind: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null): void => reject(new Error(`the process ended with ${code} before ${kind}`));
    const onMessage = (message: unknown): void => {
      if ((message as { kind?: string }).kind !== kind) return;
      child.off("message", onMessage);
      child.off("exit", onExit);
      resolve(message);
    };
    child.on("message", onMessage);
    child.once("exit", onExit);
  });
}

async function stopChild(child: ChildProcess): Promise<void> {
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.send("stop");
  await gone;
}

/** A scheduler logs its address once it serves; what it warns of goes on to our own standard error. */
function addressOf(scheduler: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    scheduler.once("exit", (code) => reject(new Error(`the scheduler ended with ${code}`)));
    scheduler.stderr?.setEncoding("utf8").on("data", (text: string) => {
      for (const line of text.split("\n").filter((candidate) => candidate !== "")) {
        const entry: { level?: string; message?: string; address?: string } = line.startsWith("{")
          ? JSON.parse(line)
          : {};
        if (entry.message === "the scheduler serves" && entry.address !== undefined) resolve(entry.address);
        else if (entry.level !== "info") process.stderr.write(`${line}\n`);
      }
    });
  });
}
