/** Submits mixed work to a mesh whose processes may die, follows it to its end, and judges it by the outside record. */
import assert from "node:assert/strict";
import { type Attempt, type Execution, ExecutionState, executionStateToJSON } from "../../gen/jobmesh/v1/execution.ts";
import { LostPolicy } from "../../gen/jobmesh/v1/job.ts";
import { JobmeshError } from "../../services/client/index.ts";
import type { MeshClient } from "../../services/client/mesh-client.ts";
import { allowedStates, isCancelled, type WorkItem } from "./mixed-work.ts";
import type { Truth } from "./truth-log.ts";
import type { TruthTail } from "./truth-tail.ts";

/** Submissions that are not answered yet. */
const WINDOW = 64;

/** What was acknowledged. */
export type Submitted = WorkItem & { readonly executionId: string };
/** What has ended, with its attempts. */
export type Ended = Submitted & { readonly execution: Execution; readonly attempts: readonly Attempt[] };

/** Each submission goes to one of the schedulers, and again with the same request_id until it is acknowledged. */
export async function submitAll(
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

/** Attempts that are dispatched or run, as the store has them. */
export async function runningCount(client: MeshClient): Promise<number> {
  const states = [ExecutionState.EXECUTION_STATE_DISPATCHED, ExecutionState.EXECUTION_STATE_RUNNING];
  const { counts } = await client.executions.countExecutions({ filter: undefined });
  return counts
    .filter(({ state }) => states.includes(state as never))
    .reduce((sum, { count }) => sum + Number(count), 0);
}

/** Cancels what is to be cancelled: most as soon as they are acknowledged, the others once they run. */
export class Cancels {
  readonly #client: MeshClient;
  readonly #tail: TruthTail;
  readonly #runningEach: number;
  readonly #running: Promise<void>[] = [];

  /** @param runningEach one in so many is cancelled when it runs. */
  constructor(client: MeshClient, tail: TruthTail, runningEach: number) {
    this.#client = client;
    this.#tail = tail;
    this.#runningEach = runningEach;
  }

  get count(): number {
    return this.#running.length;
  }

  consider(one: Submitted): void {
    if (isCancelled(one.kind)) this.#running.push(this.#cancel(one.executionId));
  }

  async done(): Promise<void> {
    await Promise.all(this.#running);
  }

  async #cancel(executionId: string): Promise<void> {
    if (this.#running.length % this.#runningEach === 0) await this.#tail.started(executionId);
    await this.#client.executions.cancelExecution({ executionId, reason: "the test cancels it" });
  }
}

/** Waits for the end of each, three minutes at most, and reads its attempts. */
export async function endedAll(client: MeshClient, submitted: readonly Submitted[]): Promise<readonly Ended[]> {
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

/** Throws unless there are `count` executions, all different, each in a state that its kind may end in. */
export function checkStates(ended: readonly Ended[], count: number): void {
  assert.equal(ended.length, count);
  assert.equal(new Set(ended.map(({ executionId }) => executionId)).size, count, "two submissions are one execution");
  for (const { kind, execution } of ended) {
    assert.ok(
      allowedStates(kind).includes(execution.state),
      `${kind} ended as ${stateName(execution.state)}: ${execution.executionId} ${execution.error?.message}`,
    );
  }
}

/** Throws where the outside record knows of a run that the mesh does not, of one that is doubled, or of none for a success. */
export function checkTruth(ended: readonly Ended[], truth: Truth): void {
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

/** Such as "SUCCEEDED". */
export function stateName(state: ExecutionState): string {
  return executionStateToJSON(state).replace("EXECUTION_STATE_", "");
}

/** How many there are of each name. */
export function countBy<T>(all: readonly T[], nameOf: (one: T) => string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const one of all) counts[nameOf(one)] = (counts[nameOf(one)] ?? 0) + 1;
  return counts;
}
