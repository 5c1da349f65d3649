import assert from "node:assert/strict";
import { test } from "node:test";
import type { AttemptProgress } from "../../../services/common/domain/attempt.ts";
import type { ExecutionId, Fence } from "../../../services/common/domain/identifier.ts";
import { silentLogger } from "../../../services/common/runtime/log.ts";
import { MAX_WAITING_PROGRESS, ProgressIntake } from "../../../services/scheduler/sessions/attempt-progress.ts";
import { ManualClock } from "../../support/manual-clock.ts";

const BEAT_MS = 1_000;

function report(number: number, fraction = 0.5): AttemptProgress {
  const executionId = `00000000-0000-7000-8000-${String(number).padStart(12, "0")}` as ExecutionId;
  return { key: { executionId, attempt: 1, fence: 1n as Fence }, fraction, message: "" };
}

function setup(store: (reports: readonly AttemptProgress[]) => Promise<void> = async () => {}) {
  const clock = new ManualClock();
  const groups: number[] = [];
  const storeProgress = (reports: readonly AttemptProgress[]): Promise<void> => {
    groups.push(reports.length);
    return store(reports);
  };
  return { clock, groups, intake: new ProgressIntake({ store: { storeProgress }, clock, log: silentLogger }, BEAT_MS) };
}

test("of 10,000 attempts the progress waits; of one more it is dropped, of those that wait the newest kept", async () => {
  const { clock, groups, intake } = setup();
  for (let number = 0; number < MAX_WAITING_PROGRESS; number++) intake.put(report(number));
  intake.put(report(MAX_WAITING_PROGRESS));
  intake.put(report(0, 1));
  assert.equal(intake.waiting, MAX_WAITING_PROGRESS);
  await clock.advance(BEAT_MS);
  assert.equal(intake.waiting, 0);
  assert.deepEqual(
    groups,
    Array.from({ length: 20 }, () => 500),
    "500 in a transaction",
  );
  await intake.stop();
});

test("progress that the store does not take is dropped, and what comes next is stored", async () => {
  let isAway = true;
  const { clock, groups, intake } = setup(async () => {
    if (isAway) throw new Error("away");
  });
  intake.put(report(1));
  await clock.advance(BEAT_MS);
  assert.equal(intake.waiting, 0);
  isAway = false;
  intake.put(report(2));
  await clock.advance(BEAT_MS);
  assert.deepEqual(groups, [1, 1]);
  await intake.stop();
});

test("a stop stores what waits, and nothing is taken after it", async () => {
  const { clock, groups, intake } = setup();
  intake.put(report(1));
  await intake.stop();
  intake.put(report(2));
  await clock.advance(BEAT_MS);
  await intake.stop();
  assert.deepEqual(groups, [1]);
});
