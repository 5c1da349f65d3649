/** retry.max_duration: no retry begins after it, whatever it waits for. */
import assert from "node:assert/strict";
import type { Execution } from "../../services/common/domain/execution.ts";
import { defaultPolicy, type ExecutionPolicy } from "../../services/common/domain/policy.ts";
import {
  addExecutor,
  dispatched,
  failed,
  keyOf,
  onEveryStore,
  resultOf,
  routeId,
  type StoreSetup,
  slots,
} from "../support/execution-store.ts";

const HOUR_US = 3_600_000_000;
const retrying: ExecutionPolicy = {
  ...defaultPolicy,
  retry: { ...defaultPolicy.retry, maxAttempts: 5, initialIntervalMs: 0, maxDurationMs: 3_600_000 },
};
const timedOut = { kind: "timed_out", failure: { code: 4, message: "late", reason: "TIMEOUT" } } as const;

async function stateOf({ store }: StoreSetup, { executionId }: Pick<Execution, "executionId">): Promise<string> {
  const { state, stateReason } = (await store.get(executionId)) ?? assert.fail();
  return `${state} ${stateReason}`;
}

onEveryStore("max_duration: no retry begins after it, counted from the first attempt that started", async (setup) => {
  const placement = await addExecutor(setup);
  const one = await dispatched(setup, placement, { policy: retrying });
  await setup.store.storeResults([resultOf(one, failed())], null);
  const waiting = (await setup.store.get(one.executionId)) ?? assert.fail();
  assert.equal(waiting.startDeadlineUs, (one.dispatchUs ?? 0) + HOUR_US);
  await setup.store.makeReady([one.executionId]);
  const [second] = await setup.store.claim({ routeId, slots: slots(placement, 1) });
  assert.equal(second?.startDeadlineUs, waiting.startDeadlineUs, "its order says so, too");
  // It runs past the time of all: the store has the limit still.
  await setup.store.markStarted([{ key: keyOf(second), startUs: 5 }]);
  await setup.sql((session) =>
    session.execute("UPDATE executions SET give_up_us = 2 WHERE execution_id = ?", [one.executionId]),
  );
  await setup.store.storeResults([resultOf(second, failed())], null);
  assert.equal(await stateOf(setup, one), "FAILED RETRY_DURATION");
  const ended = (await setup.store.get(one.executionId)) ?? assert.fail();
  assert.deepEqual([ended.attempt, ended.failure?.reason], [2, "exit:1"]);
  assert.match(ended.stateMessage, /later than 3600000 ms/);
});

onEveryStore("max_duration: a retry that waits past it ends as the last attempt did", async (setup) => {
  const placement = await addExecutor(setup);
  const fails = await dispatched(setup, placement, { policy: retrying });
  const times = await dispatched(setup, placement, { policy: retrying });
  await setup.store.storeResults([resultOf(fails, failed()), resultOf(times, timedOut)], null);
  await setup.store.makeReady([times.executionId]);
  await setup.sql((session) =>
    session.execute("UPDATE executions SET start_deadline_us = 2 WHERE start_deadline_us IS NOT NULL"),
  );
  assert.deepEqual(await setup.store.claim({ routeId, slots: slots(placement, 2) }), []);
  const ended = new Map((await setup.store.expire(10)).map(({ executionId, state }) => [executionId, state]));
  assert.deepEqual([ended.get(fails.executionId), ended.get(times.executionId)], ["FAILED", "TIMED_OUT"]);
  assert.deepEqual(
    [await stateOf(setup, fails), await stateOf(setup, times)],
    ["FAILED RETRY_DURATION", "TIMED_OUT RETRY_DURATION"],
  );
});

onEveryStore("max_duration: what never started, or never failed, is not ended by it", async (setup) => {
  const placement = await addExecutor(setup);
  const returned = { kind: "returned", reason: "NOT_STARTED", message: "" } as const;
  const shutdown = { kind: "returned", reason: "CUT_OFF", message: "" } as const;
  const [back, cut] = [
    await dispatched(setup, placement, { policy: retrying }),
    await dispatched(setup, placement, { policy: retrying }),
  ];
  await setup.store.storeResults([resultOf(back, returned), resultOf(cut, shutdown)], null);
  const rows = await setup.rows("SELECT execution_id, give_up_us, start_deadline_us FROM executions");
  const limits = new Map(rows.map((row) => [row.execution_id, [row.give_up_us !== null, row.start_deadline_us]]));
  assert.deepEqual(limits.get(back.executionId), [false, null]);
  assert.deepEqual(limits.get(cut.executionId), [true, null], "its time runs since its first attempt");
});
