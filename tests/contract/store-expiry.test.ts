/** Rule 24: what waits past its start deadline ends as EXPIRED, and nothing of it starts any more. */
import assert from "node:assert/strict";
import type { Execution, NewExecution } from "../../services/common/domain/execution.ts";
import type { JobUid } from "../../services/common/domain/identifier.ts";
import { defaultPolicy, type ExecutionPolicy } from "../../services/common/domain/policy.ts";
import {
  addExecutor,
  dispatched,
  failed,
  keyOf,
  loseExecutor,
  newExecution,
  onEveryStore,
  onMysql,
  resultOf,
  routeId,
  type StoreSetup,
  slot,
  slots,
  submission,
  submitAll,
} from "../support/execution-store.ts";

const HOUR_US = 3_600_000_000;
const uid = "22222222-2222-4222-8222-222222222222" as JobUid;
const gateKeys = [`job:${uid}`];
const limited: ExecutionPolicy = { ...defaultPolicy, startDeadlineMs: 3_600_000 };

function gated(more: Partial<NewExecution> = {}): NewExecution {
  return newExecution({ policy: limited, jobId: "job-1", jobUid: uid, gateKeys, overlap: "QUEUE_ALL", ...more });
}

async function submitOne(setup: StoreSetup, execution: NewExecution): Promise<Execution> {
  return (await submitAll(setup, [execution]))[0] ?? assert.fail();
}

/** Lets their start deadline pass: on MySQL the store's clock is the server's, so the rows are moved. */
async function pass({ sql }: StoreSetup, executions: readonly Execution[]): Promise<void> {
  for (const { executionId } of executions) {
    await sql((session) =>
      session.execute(
        "UPDATE executions SET start_deadline_us = 2 WHERE execution_id = ? AND start_deadline_us IS NOT NULL",
        [executionId],
      ),
    );
  }
}

async function stateOf({ store }: StoreSetup, { executionId }: Pick<Execution, "executionId">): Promise<string> {
  const { state, stateReason } = (await store.get(executionId)) ?? assert.fail();
  return `${state} ${stateReason}`;
}

async function gate({ rows }: StoreSetup): Promise<number[]> {
  const [row] = await rows("SELECT held, waiting FROM gates WHERE gate_key = ?", gateKeys[0] ?? "");
  return [Number(row?.held), Number(row?.waiting)];
}

onEveryStore("rule 24: READY and SCHEDULED past their deadline are EXPIRED, earlier ones wait on", async (setup) => {
  const { store } = setup;
  const late = await submitOne(setup, newExecution({ policy: limited }));
  const delayed = await submitOne(setup, newExecution({ policy: limited, readyUs: (await setup.nowUs()) + HOUR_US }));
  const inTime = await submitOne(setup, newExecution({ policy: limited }));
  const unlimited = await submitOne(setup, newExecution());
  assert.deepEqual(await store.expire(10), []);
  await pass(setup, [late, delayed]);
  const ended = new Map((await store.expire(10)).map(({ executionId, state }) => [executionId, state]));
  assert.deepEqual(ended, new Map([late, delayed].map(({ executionId }) => [executionId, "EXPIRED"])));
  const states = await Promise.all([late, delayed, inTime, unlimited].map((one) => stateOf(setup, one)));
  assert.deepEqual(states, [
    "EXPIRED START_DEADLINE",
    "EXPIRED START_DEADLINE",
    "READY UNSPECIFIED",
    "READY UNSPECIFIED",
  ]);
  const expired = (await store.get(late.executionId)) ?? assert.fail();
  assert.match(expired.stateMessage, /within 3600000 ms/);
  assert.ok(expired.endedUs !== null && expired.startDeadlineUs === null);
  assert.equal(expired.attempt, 0);
  assert.deepEqual(await store.expire(10), [], "nothing is expired twice");
});

onEveryStore("rule 24: the earliest deadlines are taken first, as many as were asked for", async (setup) => {
  const all = await submitAll(
    setup,
    Array.from({ length: 5 }, () => newExecution({ policy: limited })),
  );
  for (const [at, { executionId }] of all.toReversed().entries()) {
    await setup.sql((session) =>
      session.execute("UPDATE executions SET start_deadline_us = ? WHERE execution_id = ?", [at + 1, executionId]),
    );
  }
  const first = await setup.store.expire(2);
  assert.deepEqual(
    first.map(({ executionId }) => executionId).sort(),
    all
      .slice(3)
      .map(({ executionId }) => executionId)
      .sort(),
  );
  assert.equal((await setup.store.expire(10)).length, 3);
});

onEveryStore("rule 24: at most 500 end in one transaction, however many were asked for", async (setup) => {
  const all = Array.from({ length: 501 }, () => newExecution({ policy: limited }));
  await submitAll(setup, all.slice(0, 500));
  await submitAll(setup, all.slice(500));
  await setup.sql((session) => session.execute("UPDATE executions SET start_deadline_us = 2"));
  assert.equal((await setup.store.expire(10_000)).length, 500);
  assert.equal((await setup.store.expire(10_000)).length, 1);
});

onEveryStore("rule 24: claims pass over what is past its deadline and take what stands behind it", async (setup) => {
  const placement = await addExecutor(setup);
  const [late, next] = await submitAll(setup, [
    newExecution({ policy: { ...limited, priority: 9 } }),
    newExecution({ policy: limited }),
  ]);
  assert.ok(late !== undefined && next !== undefined);
  await pass(setup, [late]);
  const claimed = await setup.store.claim({ routeId, slots: slots(placement, 2) });
  assert.deepEqual(
    claimed.map(({ executionId, startDeadlineUs }) => [executionId, startDeadlineUs]),
    [[next.executionId, next.readyUs === null ? null : next.readyUs + HOUR_US]],
  );
});

onEveryStore("rule 24: an attempt that is on its way is not expired; it comes back and then is", async (setup) => {
  const placement = await addExecutor(setup);
  const one = await dispatched(setup, placement, { policy: limited });
  assert.equal(one.startDeadlineUs, (one.readyUs ?? 0) + HOUR_US);
  await pass(setup, [one]);
  assert.deepEqual(await setup.store.expire(10), []);
  const returned = { kind: "returned", reason: "NOT_STARTED", message: "its start deadline has passed" } as const;
  await setup.store.storeResults([resultOf(one, returned, { startUs: null })], null);
  assert.deepEqual(await setup.store.claim({ routeId, slots: slots(placement, 1) }), []);
  assert.equal((await setup.store.expire(10)).length, 1);
  assert.equal(await stateOf(setup, one), "EXPIRED START_DEADLINE");
});

onEveryStore("rule 24: what has started, or may have, has no start deadline any more", async (setup) => {
  const placement = await addExecutor(setup);
  const doomed = await addExecutor(setup, "executor-2");
  const policy = { ...limited, retry: { ...limited.retry, maxAttempts: 3, initialIntervalMs: 0 } };
  const started = await dispatched(setup, placement, { policy });
  await setup.store.markStarted([{ key: keyOf(started), startUs: 5 }]);
  const tried = await dispatched(setup, placement, { policy });
  const cutOff = await dispatched(setup, placement, { policy });
  const succeeding = await dispatched(setup, placement, { policy });
  await dispatched(setup, doomed, { policy });
  const shutdown = { kind: "returned", reason: "CUT_OFF", message: "" } as const;
  await setup.store.storeResults([resultOf(tried, failed()), resultOf(cutOff, shutdown), resultOf(succeeding)], null);
  await loseExecutor(setup, doomed);
  await setup.store.endLost(doomed.executorId, doomed.incarnation, 10);
  const rows = await setup.rows("SELECT execution_id FROM executions WHERE start_deadline_us IS NOT NULL");
  assert.deepEqual(rows, []);
  assert.deepEqual(await setup.store.expire(10), []);
});

onEveryStore("rule 24: an expired one gives its gate back, and a waiting one leaves it to the next", async (setup) => {
  const { store } = setup;
  await addExecutor(setup);
  const [holder, second, third] = await submitAll(setup, [gated(), gated(), gated()]);
  assert.ok(holder && second && third);
  assert.deepEqual(await gate(setup), [1, 2]);
  await pass(setup, [holder, second]);
  assert.equal((await store.expire(10)).length, 2);
  assert.deepEqual(await gate(setup), [0, 1]);
  assert.deepEqual(await store.admit(10), [routeId]);
  assert.deepEqual(await gate(setup), [1, 0]);
  assert.equal(await stateOf(setup, third), "READY UNSPECIFIED");
  assert.deepEqual(await store.recountGates(), []);
});

onEveryStore(
  "rule 24: the admitter lets nothing in that is past its deadline, and what waits behind it",
  async (setup) => {
    const { store } = setup;
    await addExecutor(setup);
    const [holder, second, third] = await submitAll(setup, [gated(), gated(), gated()]);
    assert.ok(holder && second && third);
    await pass(setup, [second]);
    await store.requestStop(holder.executionId, "CANCEL", "");
    await store.admit(10);
    assert.deepEqual((await store.get(second.executionId))?.blockedKey, gateKeys[0]);
    assert.deepEqual((await store.get(third.executionId))?.blockedKey, null);
    await store.expire(10);
    assert.deepEqual(await gate(setup), [1, 0]);
  },
);

onEveryStore("rule 24: a hundred that are past their deadline keep nobody out who waits behind them", async (setup) => {
  const { store } = setup;
  await addExecutor(setup);
  const first = await submitOne(setup, gated());
  const many = await submitAll(
    setup,
    Array.from({ length: 100 }, (_, at) =>
      gated({ readyUs: 1_000_000 + at, policy: { ...limited, startDeadlineMs: 31_622_400_000 * 60 } }),
    ),
  );
  const behind = await submitOne(setup, gated());
  await pass(setup, many);
  await store.requestStop(first.executionId, "CANCEL", "");
  await store.admit(10);
  await store.expire(500);
  await store.admit(10);
  assert.deepEqual((await store.get(behind.executionId))?.blockedKey, null);
});

onEveryStore("rule 24: what comes too late takes no slot and no gate, and waits for its end", async (setup) => {
  const placement = await addExecutor(setup);
  const tooLate = { readyUs: 1_000_000, policy: { ...limited, startDeadlineMs: 1 } };
  const [plain, withGate] = await setup.store.submit([
    submission(newExecution(tooLate), { slot: slot(placement) }),
    submission(gated(tooLate)),
  ]);
  assert.ok(plain?.kind === "stored" && withGate?.kind === "stored");
  assert.deepEqual([plain.execution.state, withGate.execution.state], ["SCHEDULED", "SCHEDULED"]);
  const ids = [plain.execution.executionId, withGate.execution.executionId];
  assert.deepEqual(await setup.store.makeReady(ids), []);
  assert.deepEqual(await setup.rows("SELECT gate_key FROM gates WHERE held > 0 OR waiting > 0"), []);
  assert.equal((await setup.store.expire(10)).length, 2);
});

onEveryStore("a deadline past all times is stored and read back", async (setup) => {
  const readyUs = Number.MAX_SAFE_INTEGER;
  const one = await submitOne(setup, newExecution({ policy: limited, readyUs }));
  assert.equal((await setup.store.get(one.executionId))?.startDeadlineUs, Number.MAX_SAFE_INTEGER);
});

onMysql("rule 24: several expirers, claims and cancels at once end each execution once", async (setup) => {
  const { store } = setup;
  const placement = await addExecutor(setup);
  const all = await submitAll(
    setup,
    Array.from({ length: 60 }, (_, at) =>
      at % 2 === 0 ? gated({ overlap: "QUEUE_ALL" }) : newExecution({ policy: limited }),
    ),
  );
  await pass(setup, all.slice(0, 40));
  const [expired] = await Promise.all([
    Promise.all([store.expire(100), store.expire(100), store.expire(7)]),
    store.claim({ routeId, slots: slots(placement, 30) }),
    Promise.all(all.slice(0, 10).map(({ executionId }) => store.requestStop(executionId, "CANCEL", ""))),
    store.admit(5),
  ]);
  const ids = expired.flat().map(({ executionId }) => executionId);
  assert.equal(new Set(ids).size, ids.length, "nobody expires what another has");
  await store.expire(100);
  const states = await Promise.all(all.slice(0, 40).map((one) => stateOf(setup, one)));
  for (const state of states) assert.match(state, /^(EXPIRED START_DEADLINE|CANCELLED CANCEL_REQUESTED)$/);
  assert.deepEqual(await store.recountGates(), []);
});
