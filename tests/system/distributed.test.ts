import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { type Attempt, type Execution, ExecutionState, executionStateToJSON } from "../../gen/jobmesh/v1/execution.ts";
import { Job, LostPolicy } from "../../gen/jobmesh/v1/job.ts";
import { CreateJobRequest } from "../../gen/jobmesh/v1/job_service.ts";
import { JobmeshError } from "../../services/client/index.ts";
import type { MeshClient } from "../../services/client/mesh-client.ts";
import { command } from "../../services/client/targets.ts";
import { usOfTimestamp } from "../../services/common/wire/time.ts";
import { createDatabase, startBackends, testCluster } from "../support/backends.ts";
import { DistributedMesh } from "../support/distributed-mesh.ts";
import { MeshProcesses } from "../support/mesh-process.ts";
import { allowedStates, isCancelled, mixedWork, type WorkItem } from "../support/mixed-work.ts";
import { outsideTurn } from "../support/outside-turn.ts";
import { readTruth, type Truth } from "../support/truth-log.ts";

const SUBMISSIONS = 5_000;
/** Submissions that are not answered yet. */
const WINDOW = 64;
const CRON_JOB = "every-second";

type Submitted = WorkItem & { readonly executionId: string };
type Ended = Submitted & { readonly execution: Execution; readonly attempts: readonly Attempt[] };

test("5,000 executions survive the kill of a scheduler and of an executor: none lost, none doubled", async (t) => {
  // What is made first ends first: processes, then their database, then the servers.
  const processes = new MeshProcesses(t);
  const backends = await startBackends({ etcd: true, kafka: true, mysql: true });
  const database = await createDatabase(backends.mysqlUrl);
  t.after(() => database.drop());
  t.after(() => backends.stop());
  const mesh = new DistributedMesh(processes, { ...backends, mysqlUrl: database.url, cluster: testCluster() });
  const truthPath = join(processes.folder(), "truth");

  const [doomedScheduler, survivor] = await Promise.all([mesh.scheduler("scheduler-1"), mesh.scheduler("scheduler-2")]);
  const [doomedExecutor] = await Promise.all([
    mesh.executor("executor-1", 8),
    mesh.executor("executor-2", 4),
    mesh.executor("executor-3", 2),
  ]);
  const client = processes.client(survivor.address, { timeoutMs: 30_000, waitForReady: true });
  const doomedClient = processes.client(doomedScheduler.address, { timeoutMs: 30_000 });
  await createCron(client, truthPath);

  const items = mixedWork(SUBMISSIONS, truthPath);
  const cancels = new Cancels(client);
  const submitting = submitAll([doomedClient, client], items, (one) => cancels.consider(one));
  await startsSeen(truthPath, SUBMISSIONS / 4);
  const running = await runningCount(client);
  doomedScheduler.process.signal("SIGKILL");
  doomedExecutor.signal("SIGKILL");
  const killedUs = Date.now() * 1000;
  const submitted = await submitting;
  await cancels.done();

  const ended = await endedAll(client, submitted);
  await client.jobs.pauseJob({ namespace: "", jobId: CRON_JOB, reason: "the test is over" });
  const truth = readTruth(truthPath);
  checkStates(ended);
  checkTruth(ended, truth);
  const fires = await checkCron(client);
  t.diagnostic(
    `submitted and acknowledged: ${submitted.length}; running when killed: ${running}; cancelled: ${cancels.count}`,
  );
  t.diagnostic(`ended: ${JSON.stringify(countBy(ended, ({ execution }) => stateName(execution.state)))}`);
  t.diagnostic(`starts by the outside record: ${truth.starts.length}; started twice under one key: 0`);
  t.diagnostic(
    `attempts by state: ${JSON.stringify(
      countBy(
        ended.flatMap(({ attempts }) => attempts),
        (a) => stateName(a.state),
      ),
    )}`,
  );
  t.diagnostic(`cron fires, one for each second: ${fires}`);
  t.diagnostic(`lost executor's work ran on after ${Math.round((firstLossUs(ended) - killedUs) / 1000)} ms`);
});

async function createCron(client: MeshClient, truthPath: string): Promise<void> {
  const job = Job.fromPartial({
    jobId: CRON_JOB,
    target: command(`echo fire >> "$TRUTH.cron"`, { env: { TRUTH: truthPath } }),
    schedule: { when: { $case: "cron", value: "* * * * * *" } },
  });
  await client.jobs.createJob(CreateJobRequest.fromPartial({ job }));
}

/** Each submission goes to one of the schedulers, and again with the same request_id until it is acknowledged. */
async function submitAll(
  clients: readonly MeshClient[],
  items: readonly WorkItem[],
  onSubmitted: (one: Submitted) => void,
): Promise<readonly Submitted[]> {
  const submitted: Submitted[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let item = items[next++]; item !== undefined; item = items[next++]) {
      const one = { ...item, executionId: await submitUntilAcknowledged(clients, item, next) };
      submitted.push(one);
      onSubmitted(one);
    }
  };
  await Promise.all(Array.from({ length: WINDOW }, worker));
  return submitted;
}

async function submitUntilAcknowledged(clients: readonly MeshClient[], item: WorkItem, first: number): Promise<string> {
  for (let tried = first; ; tried += 1) {
    try {
      const execution = await clients[tried % clients.length]?.submit(item.request);
      assert.ok(execution);
      return execution.executionId;
    } catch (error) {
      if (!(error instanceof JobmeshError) || (error.code !== "UNAVAILABLE" && error.code !== "DEADLINE_EXCEEDED")) {
        throw error;
      }
    }
  }
}

/** Resolves when the outside record has so many starts. */
async function startsSeen(truthPath: string, count: number): Promise<void> {
  while (readTruth(truthPath).starts.length < count) await outsideTurn();
}

async function runningCount(client: MeshClient): Promise<number> {
  const states = [ExecutionState.EXECUTION_STATE_DISPATCHED, ExecutionState.EXECUTION_STATE_RUNNING];
  const { counts } = await client.executions.countExecutions({ filter: undefined });
  return counts
    .filter(({ state }) => states.includes(state as never))
    .reduce((sum, { count }) => sum + Number(count), 0);
}

/** Cancels what is to be cancelled: one half as soon as it is acknowledged, the other once it runs. */
class Cancels {
  readonly #client: MeshClient;
  readonly #running: Promise<void>[] = [];

  constructor(client: MeshClient) {
    this.#client = client;
  }

  get count(): number {
    return this.#running.length;
  }

  consider(one: Submitted): void {
    if (isCancelled(one.kind)) this.#running.push(this.#cancel(one.executionId, this.#running.length % 2 === 0));
  }

  async done(): Promise<void> {
    await Promise.all(this.#running);
  }

  async #cancel(executionId: string, atOnce: boolean): Promise<void> {
    while (!atOnce) {
      const { execution } = await this.#client.executions.getExecution({ executionId, waitUntilEnded: false, view: 0 });
      if (execution?.state === ExecutionState.EXECUTION_STATE_RUNNING) break;
      await outsideTurn();
    }
    await this.#client.executions.cancelExecution({ executionId, reason: "the test cancels it" });
  }
}

async function endedAll(client: MeshClient, submitted: readonly Submitted[]): Promise<readonly Ended[]> {
  const ended: Ended[] = [];
  await each(submitted, async (one) => {
    const execution = await client.waitUntilEnded(one.executionId, AbortSignal.timeout(180_000));
    const { attempts } = await client.executions.listAttempts({
      executionId: one.executionId,
      pageSize: 0,
      pageToken: "",
    });
    ended.push({ ...one, execution, attempts });
  });
  return ended;
}

async function each<T>(all: readonly T[], visit: (one: T) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let one = all[next++]; one !== undefined; one = all[next++]) await visit(one);
  };
  await Promise.all(Array.from({ length: WINDOW }, worker));
}

function checkStates(ended: readonly Ended[]): void {
  assert.equal(ended.length, SUBMISSIONS);
  assert.equal(
    new Set(ended.map(({ executionId }) => executionId)).size,
    SUBMISSIONS,
    "two submissions are one execution",
  );
  for (const { kind, execution } of ended) {
    assert.ok(
      allowedStates(kind).includes(execution.state),
      `${kind} ended as ${stateName(execution.state)}: ${execution.executionId} ${execution.error?.message}`,
    );
  }
}

function checkTruth(ended: readonly Ended[], truth: Truth): void {
  assert.equal(new Set(truth.starts).size, truth.starts.length, "an attempt started twice under one key");
  for (const { kind, executionId, execution, attempts } of ended) {
    const started = truth.startsOf(executionId);
    if (execution.state === ExecutionState.EXECUTION_STATE_SUCCEEDED) {
      assert.ok(truth.ended(executionId), `${kind} ${executionId} SUCCEEDED and never ran to its end`);
    }
    assert.ok(
      started <= attempts.length,
      `${kind} ${executionId} started ${started} times in ${attempts.length} attempts`,
    );
    const states = attempts.map(({ state }) => state);
    const uncounted = attempts.slice(0, -1).filter(({ counted }) => !counted);
    if (execution.policy?.lostPolicy === LostPolicy.LOST_POLICY_FAIL) {
      const followed = states.slice(0, -1).includes(ExecutionState.EXECUTION_STATE_LOST);
      assert.ok(!followed, `${kind} ${executionId} ran again after a loss under FAIL`);
    }
    // What started more often than it was retried did so after a declared loss, or was handed back.
    const counted = attempts.filter((attempt) => attempt.counted).length;
    assert.ok(started <= counted + uncounted.length + 1, `${kind} ${executionId} started ${started} times`);
  }
}

/** One execution for each second from the first to the last, whoever made it. */
async function checkCron(client: MeshClient): Promise<number> {
  const seconds: number[] = [];
  for (let pageToken = ""; ; ) {
    const filter = {
      namespace: "",
      jobId: CRON_JOB,
      states: [],
      reasons: [],
      causes: [],
      executorId: "",
      handlerMethod: "",
      labels: {},
      parentExecutionId: "",
      scheduledAfter: undefined,
      scheduledBefore: undefined,
    };
    const page = await client.executions.listExecutions({ filter, pageSize: 1_000, pageToken, view: 0 });
    for (const { scheduledTime } of page.executions) {
      assert.ok(scheduledTime);
      seconds.push(usOfTimestamp(scheduledTime) / 1e6);
    }
    pageToken = page.nextPageToken;
    if (pageToken === "") break;
  }
  seconds.sort((a, b) => a - b);
  for (const [place, second] of seconds.entries()) {
    assert.equal(second, (seconds[0] ?? 0) + place, "a nominal second has no execution, or two");
  }
  return seconds.length;
}

function firstLossUs(ended: readonly Ended[]): number {
  const losses = ended
    .flatMap(({ attempts }) => attempts)
    .filter(({ state }) => state === ExecutionState.EXECUTION_STATE_LOST)
    .flatMap(({ endTime }) => (endTime === undefined ? [] : [usOfTimestamp(endTime)]));
  return Math.min(...losses);
}

function stateName(state: ExecutionState): string {
  return executionStateToJSON(state).replace("EXECUTION_STATE_", "");
}

function countBy<T>(all: readonly T[], nameOf: (one: T) => string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const one of all) counts[nameOf(one)] = (counts[nameOf(one)] ?? 0) + 1;
  return counts;
}
