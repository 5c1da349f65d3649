import assert from "node:assert/strict";
import { test } from "node:test";
import type { AttemptResult } from "../../../services/common/domain/attempt.ts";
import type { Fence } from "../../../services/common/domain/identifier.ts";
import { JobmeshError } from "../../../services/common/error/jobmesh-error.ts";
import { StoreUnavailable } from "../../../services/common/port/store.ts";
import { silentLogger } from "../../../services/common/runtime/log.ts";
import { IntakeQueue } from "../../../services/scheduler/sessions/intake-queue.ts";
import { KnownAttempts } from "../../../services/scheduler/sessions/known-attempts.ts";
import { MAX_RESULTS_UNDER_WAY, RelayedResults } from "../../../services/scheduler/sessions/relayed-results.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { testExecution } from "../../support/new-execution.ts";

function intake(store: (items: readonly string[]) => Promise<void>) {
  const clock = new ManualClock();
  const stored: string[] = [];
  const queue = new IntakeQueue<string>(clock, silentLogger, {
    name: "test",
    limits: { maxItems: 10, maxBytes: 1_000, maxWaiting: 10, maxWaitingBytes: 10_000 },
    sizeOf: (item) => item.length,
    store,
    onStored: (item) => void stored.push(item),
  });
  return { clock, queue, stored };
}

test("what the store refuses for good is its own: the others of its group are stored", async () => {
  const { queue, stored } = intake(async (items) => {
    if (items.includes("bad")) throw new Error("refused");
  });
  const pushed = await Promise.allSettled(["a", "bad", "b"].map((item) => queue.push(item)));
  assert.deepEqual(
    pushed.map(({ status }) => status),
    ["fulfilled", "rejected", "fulfilled"],
  );
  assert.deepEqual(stored, ["a", "b"]);
});

test("while the store is away an intake tries again, and gives up at stop", async () => {
  let tries = 0;
  const { clock, queue, stored } = intake(async () => {
    tries += 1;
    if (tries !== 4) throw new StoreUnavailable("away");
  });
  const first = queue.push("a");
  await clock.advance(700);
  await first;
  assert.equal(tries, 4, "after 100, 200 and 400 ms");
  assert.deepEqual(stored, ["a"]);
  const second = queue.push("b");
  await clock.settle();
  const stopped = queue.stop();
  await assert.rejects(second, StoreUnavailable);
  await stopped;
  assert.equal(clock.armedCount, 0);
});

/** Results of a session whose sink answers when the test says so. */
function results(failure?: () => unknown) {
  const clock = new ManualClock();
  const abort = new AbortController();
  const acknowledged: number[] = [];
  const failed: unknown[] = [];
  const letGo: (() => void)[] = [];
  const relayed = new RelayedResults({
    clock,
    signal: abort.signal,
    sink: {
      store: async () => {
        const error = failure?.();
        if (error !== undefined) throw error;
        await new Promise<void>((resolve) => letGo.push(resolve));
      },
    },
    acknowledge: (sequence) => void acknowledged.push(sequence),
    onStored: () => {},
    onFailed: (thrown) => void failed.push(thrown),
  });
  return { clock, abort, relayed, acknowledged, failed, letGo };
}

const RESULT = {} as AttemptResult;

test("rule 18: results that are stored out of order are acknowledged in order", async () => {
  const { clock, relayed, acknowledged, letGo } = results();
  for (const sequence of [1, 2, 5]) relayed.take(sequence, RESULT);
  await clock.settle();
  letGo[1]?.();
  await clock.settle();
  assert.deepEqual(acknowledged, [], "the first one is not stored");
  letGo[0]?.();
  await clock.settle();
  assert.deepEqual(acknowledged, [2]);
  letGo[2]?.();
  await clock.settle();
  assert.deepEqual(acknowledged, [2, 5]);
  assert.equal(relayed.underWay, 0);
});

test("results that wait for a queue that is full are tried again; one that fails for good ends the session", async () => {
  const errors: unknown[] = [new JobmeshError("OVERLOADED"), new StoreUnavailable("away")];
  const { clock, relayed, acknowledged, letGo, failed } = results(() => errors.shift());
  relayed.take(1, RESULT);
  await clock.advance(300);
  letGo[0]?.();
  await clock.settle();
  assert.deepEqual(acknowledged, [1]);
  errors.push(new Error("for good"));
  relayed.take(2, RESULT);
  await clock.settle();
  assert.equal(failed.length, 1);
});

test("one result more than may be under way is refused with OVERLOADED", () => {
  const { relayed } = results();
  for (let sequence = 1; sequence <= MAX_RESULTS_UNDER_WAY; sequence += 1) relayed.take(sequence, RESULT);
  assert.throws(() => relayed.take(MAX_RESULTS_UNDER_WAY + 1, RESULT), /too much waits/);
});

test("rule 19: a known attempt is remembered while it is current, and forgotten three rounds after", () => {
  const known = new KnownAttempts();
  const key = { executionId: testExecution(0).executionId, attempt: 1, fence: 1n as Fence };
  known.add(key);
  for (let round = 0; round < 10; round += 1) known.seen([key]);
  assert.equal(known.has(key), true);
  known.seen([]);
  known.seen([]);
  assert.equal(known.has(key), true, "it may be younger than two beats");
  known.seen([]);
  assert.equal(known.has(key), false);
  assert.equal(known.size, 0);
  known.seen([key]);
  assert.equal(known.has(key), false, "being current does not make it known");
});
