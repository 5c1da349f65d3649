import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import type { TestContext } from "node:test";
import { ExecutionState } from "../../../gen/jobmesh/v1/execution.ts";
import { ExecutionPolicy, Job } from "../../../gen/jobmesh/v1/job.ts";
import { CreateJobRequest, RunJobRequest } from "../../../gen/jobmesh/v1/job_service.ts";
import type { MeshClient } from "../../../services/client/mesh-client.ts";
import { command } from "../../../services/client/targets.ts";
import { openSqlDatabase } from "../../../services/common/adapter/open-store.ts";
import { RpcChannel } from "../../../services/common/rpc/rpc-channel.ts";
import { SystemClock } from "../../../services/common/runtime/system-clock.ts";
import { SystemRandom } from "../../../services/common/runtime/system-random.ts";
import { SeededRandom } from "../../sim/random.ts";
import type { MeshProcess, MeshProcesses } from "../mesh-process.ts";
import { checkInvariants } from "../store-invariants.ts";
import { fuzz } from "./fuzz-run.ts";

/** Requests of each method where FUZZ_COUNT names no other number. */
const DEFAULT_COUNT = 500;
/** What is logged so is a defect, or a crash; */
const ERROR_LEVELS = ["error", "fatal"];
/** but for this, which a machine that is busy with the fuzzer itself may have it say. */
const EXCUSED = ["the store is away"];
/** Lines of a stack that a failure shows. */
const SHOWN_STACK_LINES = 6;

/**
 * Fuzzes a mesh that serves at an address: FUZZ_COUNT requests of each method whose name FUZZ_METHODS matches, drawn
 * from FUZZ_SEED, which is told so that a failure can be run again. Then a plain job still has to run, and no process may have logged an error.
 */
export async function fuzzMesh(
  t: TestContext,
  processes: MeshProcesses,
  address: string,
  serving: readonly MeshProcess[],
): Promise<void> {
  const seed = process.env.FUZZ_SEED ?? String(randomInt(1_000_000));
  const count = Number(process.env.FUZZ_COUNT ?? DEFAULT_COUNT);
  t.diagnostic(`FUZZ_SEED=${seed} FUZZ_COUNT=${count}`);
  const client = processes.client(address, { timeoutMs: 30_000 });
  const executionIds = await prepare(client);
  const channel = new RpcChannel({ clock: new SystemClock() }, { target: address, waitForReady: true });
  t.after(() => channel.close());
  const startedMs = performance.now();
  const { methods, requests, ends, faults } = await fuzz({
    ...{ channel, count, executionIds, methods: new RegExp(process.env.FUZZ_METHODS ?? "") },
    random: new SeededRandom(seed),
  });
  const seconds = (performance.now() - startedMs) / 1000;
  t.diagnostic(`${requests} requests to ${methods} methods, ${Math.round(requests / seconds)} a second`);
  t.diagnostic(JSON.stringify(ends));
  for (const one of serving) assert.ok(one.isRunning, `a process ended:\n${one.stderr.slice(-4_000)}`);
  const again = `FUZZ_SEED=${seed} FUZZ_COUNT=${count}`;
  assert.ok(faults.length === 0, [again, ...faults, ...serving.flatMap(errorsOf)].join("\n"));
  await runPlainJob(client);
  const logged = serving.flatMap(errorsOf);
  assert.ok(logged.length === 0, [again, ...logged].join("\n"));
}

/** After the processes have ended: what holds in every store holds in this one. @param url as JOBMESH_STORE has it. */
export async function checkAfterFuzz(url: string): Promise<void> {
  const handle = await openSqlDatabase(url, { clock: new SystemClock(), random: new SystemRandom() });
  try {
    await handle.database.transact("test", (session) => checkInvariants(session, new Map()));
  } finally {
    await handle.close();
  }
}

/** Executions for requests to name: ended ones with attempts and output, and one that waits for ever. */
async function prepare(client: MeshClient): Promise<readonly string[]> {
  const job = Job.fromPartial({ namespace: "fuzz", jobId: "kept", target: command("echo kept") });
  await client.jobs.createJob(CreateJobRequest.fromPartial({ job }));
  const ended = [command("echo out; echo err >&2"), command("exit 3")].map(async (target) => {
    const { executionId } = await client.submit({ target, namespace: "fuzz" });
    return (await client.waitUntilEnded(executionId, AbortSignal.timeout(30_000))).executionId;
  });
  const policy = ExecutionPolicy.fromPartial({ routing: { executorLabels: { zone: "nowhere" } } });
  const waiting = await client.submit({ target: command("true"), namespace: "fuzz", policy });
  return [...(await Promise.all(ended)), waiting.executionId];
}

/** A job that is created, run and read like any other, before all that still waits. */
async function runPlainJob(client: MeshClient): Promise<void> {
  const policy = ExecutionPolicy.fromPartial({ priority: 1_000 });
  const job = Job.fromPartial({ jobId: "after-all", target: command("echo still here"), policy });
  await client.jobs.createJob(CreateJobRequest.fromPartial({ job }));
  const { execution } = await client.jobs.runJob(RunJobRequest.fromPartial({ jobId: "after-all" }));
  const ended = await client.waitUntilEnded(execution?.executionId ?? "", AbortSignal.timeout(120_000));
  assert.equal(ended.state, ExecutionState.EXECUTION_STATE_SUCCEEDED, ended.error?.message);
}

/** What a process's log tells of errors, each kind once with its stack. */
function errorsOf({ stderr }: MeshProcess): readonly string[] {
  const kinds = new Map<string, string>();
  for (const line of stderr.split("\n")) {
    if (!line.startsWith("{")) {
      if (line.trim() !== "" && !line.startsWith("(")) kinds.set(line, line);
      continue;
    }
    const {
      level,
      message = "",
      err,
    }: { level: string; message?: string; err?: { stack?: string } } = JSON.parse(line);
    if (!ERROR_LEVELS.includes(level) || EXCUSED.includes(message)) continue;
    const stack = err?.stack?.split("\n").slice(0, SHOWN_STACK_LINES).join("\n") ?? line;
    kinds.set(`${message} ${stack}`, `${message}: ${stack}`);
  }
  return [...kinds.values()];
}
