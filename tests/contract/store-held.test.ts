/** Rules 11 and 25 on every store: what a change of a job calls back, and what becomes of that. */
import assert from "node:assert/strict";
import { defaultPolicy } from "../../services/common/domain/policy.ts";
import type { Placement } from "../../services/common/port/store-executions.ts";
import { home, keyOf, loseExecutor, onEveryStore } from "../support/execution-store.ts";
import {
  comeBack,
  gateKeys,
  gates,
  hold,
  id,
  NOMINAL_US,
  name,
  PERIOD_US,
  type Rig,
  rig,
  spec,
  standing,
  uid,
} from "../support/held-store.ts";

onEveryStore(
  "rule 11: a pause calls back what is held; back NOT_STARTED it holds nothing, and is SKIPPED",
  async (setup) => {
    const on = await rig(setup);
    const sent = await hold(on, { gateKeys, overlap: "SKIP" });
    const outcome = await on.jobs.pause(...name, "repairs");
    assert.ok(outcome.kind === "changed");
    const held = outcome.held ?? assert.fail();
    assert.deepEqual(held, { executionId: id, attempt: 1, jobRevision: 1 });
    const [stop] = await on.store.stops(home, 5);
    assert.deepEqual([stop?.key, stop?.stop], [keyOf(sent), { reason: "PAUSED", message: "repairs" }]);
    assert.deepEqual(await on.store.releaseHeld([held]), ["held"], "its executor has not answered");
    await comeBack(on, sent);
    assert.deepEqual(await standing(on), ["SCHEDULED", "PAUSED", NOMINAL_US, 1]);
    assert.deepEqual(await gates(on), [[0, 0]]);
    assert.deepEqual(await on.store.releaseHeld([held]), ["skipped"]);
    assert.deepEqual((await standing(on)).slice(0, 2), ["SKIPPED", "PAUSED"]);
    assert.equal((await on.jobs.getByUid(uid))?.fireCount, 0);
    assert.deepEqual(await on.store.releaseHeld([held]), ["back"], "asked again nothing changes");
  },
);

onEveryStore(
  "rule 11: after an update it waits for its time with the new revision's target and policy",
  async (setup) => {
    const on = await rig(setup);
    const sent = await hold(on);
    const changed = spec({ command: "new", maxConcurrency: 3 });
    const outcome = await on.jobs.update(changed, NOMINAL_US + PERIOD_US, null);
    assert.ok(outcome.kind === "changed");
    await comeBack(on, sent);
    assert.deepEqual(await on.store.releaseHeld([outcome.held ?? assert.fail()]), ["back"]);
    const execution = (await on.store.get(id)) ?? assert.fail();
    assert.deepEqual([execution.state, execution.readyUs, execution.jobRevision], ["SCHEDULED", NOMINAL_US, 2]);
    assert.deepEqual([execution.target.summary, execution.policy.maxConcurrency], ["new", 3]);
    assert.deepEqual(await on.store.makeReady([id]), [], "not before its time");
    on.clock.us = NOMINAL_US;
    assert.deepEqual(
      (await on.store.makeReady([id])).map(({ executionId }) => executionId),
      [id],
    );
    assert.deepEqual(await standing(on), ["READY", "UNSPECIFIED", NOMINAL_US, 1]);
  },
);

/** The same period from another start. */
function shifted() {
  const { schedule, ...rest } = spec();
  return { ...rest, schedule: { ...schedule, startMs: NOMINAL_US / 1_000 - 4_000 } };
}

/** Changes after which there is no such fire, and how it ends. */
const ENDS: readonly (readonly [string, (on: Rig) => Promise<unknown>, readonly string[]])[] = [
  ["is paused", ({ jobs }) => jobs.pause(...name, ""), ["SKIPPED", "PAUSED"]],
  ["fires at other times", ({ jobs }) => jobs.update(shifted(), null, null), ["SKIPPED", "SUPERSEDED"]],
  ["has no schedule", ({ jobs }) => jobs.update({ ...spec(), schedule: null }, null, null), ["SKIPPED", "SUPERSEDED"]],
  ["is deleted", ({ jobs }) => jobs.delete(...name, null), ["CANCELLED", "JOB_DELETED"]],
];

for (const [how, change, [state, reason]] of ENDS) {
  onEveryStore(
    `rule 11: a held fire whose job ${how} is ${state}, ${reason}, also when nobody waited for it`,
    async (setup) => {
      const on = await rig(setup);
      const sent = await hold(on, { gateKeys, overlap: "SKIP" });
      await change(on);
      await comeBack(on, sent);
      on.clock.us = NOMINAL_US;
      assert.deepEqual(await on.store.makeReady([id]), [{ executionId: id, ended: state }]);
      assert.deepEqual((await standing(on)).slice(0, 2), [state, reason]);
      assert.deepEqual(await gates(on), [[0, 0]]);
    },
  );
}

onEveryStore("rule 11: what changes between coming back and its time is kept as well", async (setup) => {
  const on = await rig(setup);
  const sent = await hold(on);
  await on.jobs.update(spec({ command: "new" }), NOMINAL_US + PERIOD_US, null);
  await comeBack(on, sent);
  const outcome = await on.jobs.pause(...name, "repairs");
  assert.ok(outcome.kind === "changed" && outcome.held !== undefined, "it is waited for");
  on.clock.us = NOMINAL_US;
  assert.deepEqual(await on.store.makeReady([id]), [{ executionId: id, ended: "SKIPPED" }]);
  assert.deepEqual((await standing(on)).slice(0, 2), ["SKIPPED", "PAUSED"]);
});

onEveryStore(
  "rule 11: back for want of a slot it keeps its gates and waits for its time; a pause then ends it",
  async (setup) => {
    const on = await rig(setup);
    const sent = await hold(on, { gateKeys, overlap: "SKIP" });
    await comeBack(on, sent);
    assert.deepEqual(await standing(on), ["SCHEDULED", "UNSPECIFIED", NOMINAL_US, 1]);
    assert.deepEqual(await gates(on), [[1, 0]], "it was let in");
    const outcome = await on.jobs.pause(...name, "repairs");
    assert.ok(outcome.kind === "changed");
    assert.deepEqual(await gates(on), [[0, 0]]);
    assert.deepEqual(await on.store.releaseHeld([outcome.held ?? assert.fail()]), ["skipped"]);
    assert.deepEqual((await standing(on)).slice(0, 2), ["SKIPPED", "PAUSED"]);
  },
);

onEveryStore(
  "rule 25: what has started runs on: the stop is none any more, and a failure is tried again",
  async (setup) => {
    const on = await rig(setup);
    const policy = { ...defaultPolicy, retry: { ...defaultPolicy.retry, maxAttempts: 2 } };
    const sent = await hold(on, { policy });
    const outcome = await on.jobs.pause(...name, "repairs");
    assert.ok(outcome.kind === "changed");
    await on.store.markStarted([{ key: keyOf(sent), startUs: NOMINAL_US }]);
    assert.deepEqual(await on.store.releaseHeld([outcome.held ?? assert.fail()]), ["unstopped"]);
    assert.deepEqual(await on.store.stops(home, 5), []);
    const failure = { code: 2, message: "no", reason: "exit:1" };
    await comeBack(on, sent, { kind: "failed", failure, nonRetryable: false, retryDelayMs: null });
    assert.deepEqual((await standing(on)).slice(0, 2), ["SCHEDULED", "RETRY_BACKOFF"]);
  },
);

onEveryStore("rules 11, 25: a cancel overrides the call back, and CANCELLED is its end", async (setup) => {
  const on = await rig(setup);
  const sent = await hold(on);
  await on.jobs.pause(...name, "repairs");
  assert.equal((await on.store.requestStop(id, "CANCEL", "no")).kind, "stopping");
  await comeBack(on, sent);
  assert.deepEqual((await standing(on)).slice(0, 2), ["CANCELLED", "CANCEL_REQUESTED"]);
});

onEveryStore("rule 11: with its executor lost a held fire is not ready before its time", async (setup) => {
  const on = await rig(setup);
  await hold(on);
  await loseExecutor(setup, on.executor);
  const { executorId, incarnation }: Placement = on.executor;
  assert.equal((await on.store.endLost(executorId, incarnation, 5)).length, 1);
  assert.deepEqual(await standing(on), ["SCHEDULED", "UNSPECIFIED", NOMINAL_US, 1]);
});

onEveryStore("a change of a job that holds nothing costs no statement for it", async (setup) => {
  const on = await rig(setup);
  on.clock.us = NOMINAL_US;
  await hold(on);
  const statements = await setup.statementsOf(() => on.jobs.pause(...name, ""));
  assert.deepEqual(
    statements.filter(({ sql }) => sql.includes("executions")),
    [],
  );
});

onEveryStore("validate_only calls nothing back, and neither does an update that changes nothing", async (setup) => {
  const on = await rig(setup);
  await hold(on);
  await on.jobs.update(spec({ command: "new" }), null, null, true);
  const outcome = await on.jobs.update(spec(), null, null);
  assert.ok(outcome.kind === "changed");
  assert.equal(outcome.held, undefined);
  assert.deepEqual(await on.store.stops(home, 5), []);
  await on.jobs.update(spec({ command: "new" }), null, null);
  const again = await on.jobs.update(spec({ command: "new" }), null, null);
  assert.ok(again.kind === "changed" && again.held !== undefined, "one that comes again waits as well");
});
