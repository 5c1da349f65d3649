/** A restart of the embedded mesh on the same folder goes on, after Ctrl-C and after kill -9. */
import assert from "node:assert/strict";
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { type Execution, ExecutionState } from "../../gen/jobmesh/v1/execution.ts";
import { ListAttemptsRequest } from "../../gen/jobmesh/v1/execution_service.ts";
import { ExecutionPolicy, Job, LostPolicy } from "../../gen/jobmesh/v1/job.ts";
import { CreateJobRequest } from "../../gen/jobmesh/v1/job_service.ts";
import type { MeshClient } from "../../services/client/mesh-client.ts";
import { command } from "../../services/client/targets.ts";
import { timestampOfUs } from "../../services/common/wire/time.ts";
import { Lifeline } from "../support/lifeline.ts";
import { MeshProcesses } from "../support/mesh-process.ts";

const { EXECUTION_STATE_SUCCEEDED: SUCCEEDED, EXECUTION_STATE_LOST: LOST } = ExecutionState;
const { EXECUTION_STATE_SCHEDULED: SCHEDULED, EXECUTION_STATE_READY: READY } = ExecutionState;

/** What an execution under test is submitted as, by name, and with which policy. */
const RETRY = ExecutionPolicy.fromPartial({ lostPolicy: LostPolicy.LOST_POLICY_RETRY });
const FAIL = ExecutionPolicy.fromPartial({ lostPolicy: LostPolicy.LOST_POLICY_FAIL });

async function setup(t: TestContext, slots: number) {
  const processes = new MeshProcesses(t);
  const dataDir = processes.folder();
  const folder = processes.folder();
  const truth = join(folder, "truth");
  appendFileSync(truth, "");
  const start = async () => {
    const mesh = await processes.dev({ dataDir, args: ["--slots", String(slots)] });
    return { mesh, client: processes.client(mesh.address) };
  };
  /** A command that writes down each run, and then runs until the gate is there. */
  const held = (name: string, lifeline: Lifeline) =>
    command(
      `[ "$JOBMESH_ATTEMPT" = 1 ] && exec 9>"$LIFELINE" && echo ${name} >&9
      echo "${name} $JOBMESH_ATTEMPT" >>"$TRUTH"
      until [ -e "$TRUTH.open" ]; do sleep 0.05; done`,
      { env: { TRUTH: truth, LIFELINE: lifeline.path } },
    );
  const runs = (): string[] => readFileSync(truth, "utf8").trim().split("\n").sort();
  return { processes, dataDir, folder, start, held, runs, open: () => appendFileSync(`${truth}.open`, "") };
}

async function attemptsOf(client: MeshClient, { executionId }: Execution): Promise<ExecutionState[]> {
  const { attempts } = await client.executions.listAttempts(ListAttemptsRequest.fromPartial({ executionId }));
  return attempts.map(({ state }) => state);
}

async function stateOf(client: MeshClient, { executionId }: Execution): Promise<ExecutionState | undefined> {
  return (await client.executions.getExecution({ executionId, waitUntilEnded: false, view: 0 })).execution?.state;
}

for (const signal of ["SIGINT", "SIGKILL"] as const) {
  test(`after ${signal} a restart goes on with what waits for its time, for a slot, and for its schedule`, async (t) => {
    const { processes, folder, start, held, runs, open } = await setup(t, 1);
    const lifeline = new Lifeline(folder);
    t.after(() => lifeline.close());
    const { mesh, client } = await start();
    await mesh.printed(/SUCCEEDED example-disk/);
    const running = await client.submit({ target: held("running", lifeline), policy: FAIL });
    await lifeline.written(1);
    const waiting = await client.submit({ target: command("echo waited") });
    const inTwoSeconds = timestampOfUs((performance.timeOrigin + performance.now() + 2_000) * 1_000);
    const scheduled = await client.submit({ target: command("echo in time"), scheduledTime: inTwoSeconds });
    const interval = { $case: "interval", value: { seconds: 1n, nanos: 0 } } as const;
    const job = Job.fromPartial({ jobId: "each-second", target: command("true"), schedule: { when: interval } });
    await client.jobs.createJob(CreateJobRequest.fromPartial({ job }));
    assert.equal(await stateOf(client, waiting), READY);
    assert.equal(await stateOf(client, scheduled), SCHEDULED);
    if (signal === "SIGINT") {
      mesh.signal("SIGINT");
      await mesh.printed(/^stopping/m);
      open();
      await mesh.ended;
    } else {
      await mesh.end("SIGKILL");
    }
    await lifeline.ended;
    if (signal === "SIGKILL") open();

    const next = await start();
    const ends = await Promise.all(
      [running, waiting, scheduled].map(({ executionId }) => next.client.waitUntilEnded(executionId)),
    );
    const expected = [signal === "SIGINT" ? SUCCEEDED : LOST, SUCCEEDED, SUCCEEDED];
    assert.deepEqual(
      ends.map(({ state }) => state),
      expected,
    );
    assert.deepEqual(runs(), ["running 1"]);
    await next.mesh.printed(/SUCCEEDED each-second.*SUCCEEDED each-second/s);
    assert.match(next.mesh.stdout, /^jobmesh \S+ is ready\n/, "what ends before it is ready is told after that");
    assert.equal((await processes.run(["status", "--scheduler", next.mesh.address])).code, 0);
  });
}

test("after kill -9 what ran is killed first: under RETRY it runs again, under LOST_POLICY_FAIL it is LOST", async (t) => {
  const { folder, start, held, runs, open } = await setup(t, 4);
  const lifeline = new Lifeline(folder);
  t.after(() => lifeline.close());
  const { mesh, client } = await start();
  const again = await client.submit({ target: held("again", lifeline), policy: RETRY });
  const never = await client.submit({ target: held("never", lifeline), policy: FAIL });
  await lifeline.written(2);
  await mesh.end("SIGKILL");
  // All that the commands started is gone, although nobody was left to tell them.
  await lifeline.ended;

  const startedMs = performance.now();
  const next = await start();
  const lost = await next.client.waitUntilEnded(never.executionId);
  t.diagnostic(`LOST ${Math.round(performance.now() - startedMs)} ms after the restart`);
  open();
  const repeated = await next.client.waitUntilEnded(again.executionId);
  assert.deepEqual([repeated.state, lost.state], [SUCCEEDED, LOST]);
  assert.deepEqual([repeated.attempt, repeated.lossCount, lost.attempt], [2, 1, 1]);
  assert.deepEqual(await attemptsOf(next.client, again), [LOST, SUCCEEDED]);
  assert.deepEqual(await attemptsOf(next.client, never), [LOST]);
  assert.deepEqual(runs(), ["again 1", "again 2", "never 1"]);
});

test("rule 23: after a power cut, under another boot id, the embedded mesh goes on at once as well", async (t) => {
  const { dataDir, folder, start, held } = await setup(t, 4);
  const lifeline = new Lifeline(folder);
  t.after(() => lifeline.close());
  const { mesh, client } = await start();
  const ran = await client.submit({ target: held("ran", lifeline), policy: FAIL });
  await lifeline.written(1);
  await mesh.end("SIGKILL");
  await lifeline.ended;
  const note = join(dataDir, "executor.json");
  writeFileSync(note, JSON.stringify({ ...JSON.parse(readFileSync(note, "utf8")), bootId: "before" }));
  const next = await start();
  assert.equal((await next.client.waitUntilEnded(ran.executionId)).state, LOST);
});

test("what had ended before kill -9 stays as it was", async (t) => {
  const { start } = await setup(t, 4);
  const { mesh, client } = await start();
  const submitted = await client.submit({ target: command("echo kept; exit 3") });
  const ended = await client.waitUntilEnded(submitted.executionId);
  await mesh.end("SIGKILL");
  const next = await start();
  assert.deepEqual(await next.client.waitUntilEnded(submitted.executionId), ended);
  assert.deepEqual(await attemptsOf(next.client, submitted), [ExecutionState.EXECUTION_STATE_FAILED]);
});
