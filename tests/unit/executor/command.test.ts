import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Target } from "../../../gen/jobmesh/v1/job.ts";
import type { AttemptResult } from "../../../services/common/domain/attempt.ts";
import type { DispatchOrder } from "../../../services/common/domain/dispatch.ts";
import type { ExecutionId, ExecutorId, Fence } from "../../../services/common/domain/identifier.ts";
import { JobmeshError } from "../../../services/common/error/jobmesh-error.ts";
import { silentLogger } from "../../../services/common/runtime/log.ts";
import { SystemClock } from "../../../services/common/runtime/system-clock.ts";
import { SystemRandom } from "../../../services/common/runtime/system-random.ts";
import { propagatingTracing } from "../../../services/common/telemetry/create-tracing.ts";
import { executorDefaults } from "../../../services/executor/config.ts";
import { Executor } from "../../../services/executor/executor.ts";
import { killLeftovers } from "../../../services/executor/spawner/leftovers.ts";
import { Spawner } from "../../../services/executor/spawner/spawner.ts";
import { SystemSpawnerHost } from "../../../services/executor/spawner/system-spawner-host.ts";
import { CommandRunner } from "../../../services/executor/target/command-runner.ts";
import { Lifeline } from "../../support/lifeline.ts";
import { type HomeManners, ScriptedHomes } from "./scripted-homes.ts";

const clock = new SystemClock();
const random = new SystemRandom();

/** An executor with a real spawner and the machine's clock; its home is scripted. */
async function setup(t: TestContext, manners: Partial<HomeManners> = {}) {
  const folder = mkdtempSync(join(tmpdir(), "jobmesh-executor-"));
  const homes = new ScriptedHomes(clock, manners);
  const deps = { clock, random, log: silentLogger };
  const host = new SystemSpawnerHost(folder);
  const spawner = new Spawner({ ...deps, host });
  const environment = { PATH: process.env.PATH ?? "/bin" };
  const executor = new Executor(
    {
      ...deps,
      tracing: propagatingTracing(random),
      connector: homes,
      bus: null,
      registry: null,
      runners: [new CommandRunner(spawner, { environment, killGraceMs: 500, maxOutputBytes: 1024 * 1024 })],
      commands: spawner,
      lock: null,
      descriptorSet: () => undefined,
      exitProcess: (why) => assert.fail(why),
    },
    { ...executorDefaults, executorId: "executor-1" as ExecutorId, lane: 0, drainSoftMs: 0 },
  );
  t.after(async () => {
    await executor.stop(0);
    await killLeftovers({ ...deps, host });
    rmSync(folder, { recursive: true, force: true });
  });
  await executor.start();
  await executor.welcomed;
  const dispatch = (command: string, timeoutMs = 60_000): DispatchOrder => {
    const order = orderOf(executor, command, timeoutMs);
    homes.last.dispatch(order);
    return order;
  };
  return { folder, homes, executor, dispatch };
}

function orderOf(executor: Executor, command: string, timeoutMs: number): DispatchOrder {
  const { incarnation, sessionNumber } = executor.status;
  const value = { command, args: [], env: {}, workingDirectory: "", input: undefined };
  return {
    key: {
      executionId: "00000000-0000-7000-8000-000000000001" as ExecutionId,
      attempt: 1,
      fence: random.fence() as Fence,
    },
    executorId: "executor-1" as ExecutorId,
    incarnation,
    namespace: "default",
    jobId: "",
    target: {
      kind: "command",
      method: "",
      summary: command,
      bytes: Target.encode({ kind: { $case: "command", value } }).finish(),
    },
    timeoutMs,
    holdUntilUs: null,
    startDeadlineUs: null,
    scheduledUs: clock.wallUs(),
    maxAttempts: 1,
    labels: {},
    sessionNumber,
    dispatchUs: clock.wallUs(),
    traceparent: "",
    tracestate: "",
  };
}

/** The first result, when it comes. */
async function resultOf(homes: ScriptedHomes): Promise<AttemptResult> {
  const said = await homes.next("result");
  return said.result;
}

test("a command runs, its output is sent in pieces and its end in the result", async (t) => {
  const { homes, dispatch } = await setup(t);
  dispatch("echo out; echo err >&2; exit 3");
  const result = await resultOf(homes);
  assert.ok(result.outcome.kind === "failed");
  assert.equal(result.outcome.failure.reason, "exit:3");
  assert.deepEqual([result.exitCode, result.output, result.errorOutput], [3, "out\n", "err\n"]);
  assert.equal(result.outputPieceCount, 2);
  const pieces = homes.all("output").map(({ piece }) => [piece.stream, Buffer.from(piece.data).toString()]);
  assert.deepEqual(pieces.sort(), [
    ["STDERR", "err\n"],
    ["STDOUT", "out\n"],
  ]);
});

test("rule 25: a command that is stopped ends with its group and is CANCELLED", async (t) => {
  const { folder, homes, dispatch } = await setup(t);
  const lifeline = new Lifeline(folder);
  t.after(() => lifeline.close());
  const { key } = dispatch(`exec 9>"${lifeline.path}"; sleep 1000 & echo ready >&9; wait`);
  await lifeline.written(1);
  homes.last.stop(key);
  const { outcome } = await resultOf(homes);
  assert.equal(outcome.kind, "cancelled");
  await lifeline.ended;
});

test("rule 24: a command's timeout is kept by its spawner, and its result says so", async (t) => {
  const { homes, dispatch } = await setup(t);
  dispatch("sleep 1000", 100);
  const { outcome } = await resultOf(homes);
  assert.equal(outcome.kind, "timed_out");
});

test("rule 16: without a stored beat commands die before the lease ends, and nothing is said of them", async (t) => {
  const { folder, homes, executor, dispatch } = await setup(t, { leaseTtlMs: 1_500 });
  const { incarnation } = executor.status;
  const lifeline = new Lifeline(folder);
  t.after(() => lifeline.close());
  dispatch(`exec 9>"${lifeline.path}"; sleep 1000 & echo ready >&9; wait`);
  await lifeline.written(1);
  homes.away = new JobmeshError("PEER_UNAVAILABLE");
  homes.last.close();
  await lifeline.ended;
  homes.away = null;
  const hello = await homes.next("hello", 1);
  assert.equal(hello.previousIncarnation, incarnation);
  assert.deepEqual(hello.taken, []);
  assert.deepEqual(homes.all("result"), []);
});

test("rule 21: a command that still runs when the executor leaves comes back CUT_OFF", async (t) => {
  const { folder, homes, executor, dispatch } = await setup(t);
  const lifeline = new Lifeline(folder);
  t.after(() => lifeline.close());
  dispatch(`exec 9>"${lifeline.path}"; echo ready >&9; sleep 1000`);
  await lifeline.written(1);
  await executor.stop(0);
  const { outcome } = await resultOf(homes);
  assert.ok(outcome.kind === "returned");
  assert.equal(outcome.reason, "CUT_OFF");
  await lifeline.ended;
});
