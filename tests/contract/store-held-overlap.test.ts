/** Rule 11 beside rule 7: what becomes ready before the time of a held fire is the earlier one, under every policy. */
import assert from "node:assert/strict";
import type { Execution, NewExecution } from "../../services/common/domain/execution.ts";
import { defaultPolicy } from "../../services/common/domain/policy.ts";
import type { SubmitOutcome } from "../../services/common/port/store-executions.ts";
import {
  failed,
  home,
  keyOf,
  newExecution,
  onEveryStore,
  onMysql,
  resultOf,
  routeId,
  slots,
} from "../support/execution-store.ts";
import {
  comeBack,
  gateKeys,
  gates,
  hold,
  id,
  NOMINAL_US,
  name,
  notStarted,
  PERIOD_US,
  type Rig,
  rig,
  spec,
  standing,
  uid,
} from "../support/held-store.ts";

/** RunJob at the rig's time. */
async function run(on: Rig, more: Partial<NewExecution> = {}): Promise<SubmitOutcome & { kind: "stored" }> {
  const at = { readyUs: on.clock.us, scheduledUs: Math.floor(on.clock.us / 1_000) * 1_000 };
  const execution = newExecution({ cause: "RUN_JOB", jobId: "job-1", jobUid: uid, gateKeys, ...at, ...more });
  const [outcome] = await on.store.submit([{ execution, request: null, slot: null }]);
  return outcome?.kind === "stored" ? outcome : assert.fail(outcome?.kind);
}

async function claimOne({ store, executor }: Rig): Promise<Execution> {
  const claimed = await store.claim({ routeId, slots: slots(executor, 5) });
  assert.equal(claimed.length, 1);
  return claimed[0] ?? assert.fail();
}

async function stateOf({ store }: Rig, { executionId }: Pick<Execution, "executionId">): Promise<unknown[]> {
  const now = (await store.get(executionId)) ?? assert.fail();
  return [now.state, now.stateReason];
}

for (const overlap of ["SKIP", "QUEUE_ONE", "QUEUE_ALL", "CANCEL_RUNNING"] as const) {
  onEveryStore(
    `rule 11: a run under ${overlap} before a held fire's time calls it back, runs first, and counts for the fire`,
    async (setup) => {
      const on = await rig(setup);
      const sent = await hold(on, { gateKeys, overlap: "SKIP" });
      on.clock.us = NOMINAL_US - 100_000;
      const { execution, calledBack } = await run(on, { overlap });
      assert.deepEqual([execution.state, execution.stateReason, calledBack], ["READY", "OVERLAP", id]);
      const [stop] = await on.store.stops(home, 5);
      assert.deepEqual([stop?.key, stop?.stop?.reason], [keyOf(sent), "SUPERSEDED"]);
      assert.deepEqual(await on.store.admit(10), [], "its executor has not answered");
      await comeBack(on, sent);
      assert.deepEqual(await standing(on), ["SCHEDULED", "SUPERSEDED", NOMINAL_US, 1]);
      assert.deepEqual(await on.store.admit(10), [routeId]);
      const running = await claimOne(on);
      assert.equal(running.executionId, execution.executionId);
      on.clock.us = NOMINAL_US;
      assert.deepEqual(await on.store.makeReady([id]), [{ executionId: id, ended: "SKIPPED" }]);
      assert.deepEqual((await standing(on)).slice(0, 2), ["SKIPPED", "OVERLAP"], "it meets what runs at its time");
      assert.equal((await on.jobs.getByUid(uid))?.fireCount, 0);
      await on.store.storeResults([resultOf(running)], null);
      assert.deepEqual(await gates(on), [[0, 0]]);
    },
  );
}

onEveryStore(
  "rule 11: a fire under CANCEL_RUNNING that was called back cancels at its time what ran first",
  async (setup) => {
    const on = await rig(setup);
    const sent = await hold(on, { gateKeys, overlap: "CANCEL_RUNNING" });
    // The policy that it has then is its job's, which is renewed when it comes back.
    const { schedule, ...rest } = spec();
    await on.jobs.update({ ...rest, schedule: { ...schedule, overlapPolicy: "CANCEL_RUNNING" } }, NOMINAL_US, null);
    on.clock.us = NOMINAL_US - 100_000;
    const { execution } = await run(on, { overlap: "CANCEL_RUNNING" });
    await comeBack(on, sent);
    await on.store.admit(10);
    const running = await claimOne(on);
    on.clock.us = NOMINAL_US;
    assert.deepEqual(await on.store.makeReady([id]), []);
    assert.deepEqual((await standing(on)).slice(0, 2), ["READY", "OVERLAP"]);
    assert.equal((await on.store.get(execution.executionId))?.stop?.reason, "CANCEL", "the fire is the later one");
    await on.store.storeResults([resultOf(running, failed())], null);
    await on.store.admit(10);
    assert.equal((await claimOne(on)).executionId, id);
  },
);

onEveryStore(
  "rule 11: room of max_concurrency that a held fire has taken is given to what comes before its time",
  async (setup) => {
    const on = await rig(setup);
    const { schedule, ...rest } = spec({ maxConcurrency: 1 });
    await on.jobs.update({ ...rest, schedule: { ...schedule, overlapPolicy: "ALLOW" } }, NOMINAL_US, null);
    const policy = { ...defaultPolicy, maxConcurrency: 1 };
    const fired = await hold({ ...on, jobs: atRevision(on) }, { gateKeys, policy, jobRevision: 2 });
    const { execution } = await run(on, { policy });
    assert.deepEqual([execution.state, execution.stateReason], ["READY", "CONCURRENCY_LIMIT"]);
    await comeBack(on, fired);
    assert.deepEqual(await on.store.admit(10), [routeId]);
    assert.equal((await claimOne(on)).executionId, execution.executionId);
    on.clock.us = NOMINAL_US;
    assert.deepEqual(await on.store.makeReady([id]), []);
    assert.deepEqual((await standing(on)).slice(0, 2), ["READY", "CONCURRENCY_LIMIT"], "it waits for its turn");
  },
);

/** The job has revision 2. */
function atRevision({ jobs }: Rig): Rig["jobs"] {
  const fire: Rig["jobs"]["fire"] = (one) => jobs.fire({ ...one, revision: 2 });
  return Object.create(jobs, { fire: { value: fire } }) as Rig["jobs"];
}

onEveryStore(
  "rule 11: one that came back for want of a slot gives its gates at once, and waits for its time",
  async (setup) => {
    const on = await rig(setup);
    const sent = await hold(on, { gateKeys, overlap: "SKIP" });
    await comeBack(on, sent);
    assert.deepEqual(await gates(on), [[1, 0]]);
    const { execution } = await run(on, { overlap: "SKIP" });
    assert.equal(execution.state, "READY");
    assert.deepEqual(await gates(on), [[0, 1]]);
    assert.deepEqual(await standing(on), ["SCHEDULED", "SUPERSEDED", NOMINAL_US, 1]);
    assert.deepEqual(await on.store.admit(10), [routeId]);
    assert.deepEqual(await on.store.recountGates(), []);
  },
);

onEveryStore("rule 11: what runs beside a held fire is an earlier one for it, by its own policy", async (setup) => {
  const on = await rig(setup);
  const sent = await hold(on, { gateKeys, overlap: "SKIP" });
  const { execution, calledBack } = await run(on, { overlap: "ALLOW" });
  assert.deepEqual([execution.state, execution.blockedKey, calledBack], ["READY", null, id], "it does not wait");
  assert.equal((await on.store.stops(home, 5))[0]?.stop?.reason, "SUPERSEDED");
  await comeBack(on, sent);
  on.clock.us = NOMINAL_US;
  await on.store.makeReady([id]);
  assert.deepEqual((await standing(on)).slice(0, 2), ["SKIPPED", "OVERLAP"]);
});

onEveryStore(
  "rule 11: with an earlier one running a held fire changes nothing for a run that overlaps",
  async (setup) => {
    const on = await rig(setup);
    await hold(on, { gateKeys, overlap: "ALLOW" });
    await run(on, { overlap: "ALLOW" });
    await claimOne(on);
    const skipped = await run(on, { overlap: "SKIP" });
    assert.deepEqual(await stateOf(on, skipped.execution), ["SKIPPED", "OVERLAP"]);
    assert.deepEqual(await on.store.stops(home, 5), [], "and it is not called back: both run");
    const cancels = await run(on, { overlap: "CANCEL_RUNNING" });
    assert.equal(cancels.execution.stateReason, "OVERLAP");
    const stops = await on.store.stops(home, 5);
    assert.deepEqual(stops.map(({ stop }) => stop?.reason).sort(), ["CANCEL", "SUPERSEDED"]);
  },
);

onEveryStore("rule 25: a caller's cancel of a held fire stays a cancel", async (setup) => {
  const on = await rig(setup);
  const sent = await hold(on, { gateKeys, overlap: "SKIP" });
  await on.store.requestStop(id, "CANCEL", "no");
  const { execution } = await run(on, { overlap: "SKIP" });
  assert.equal(execution.state, "READY", "what is held is no earlier one");
  assert.deepEqual(
    (await on.store.stops(home, 5)).map(({ stop }) => stop?.reason),
    ["CANCEL"],
  );
  await comeBack(on, sent, notStarted);
  assert.deepEqual((await standing(on)).slice(0, 2), ["CANCELLED", "CANCEL_REQUESTED"]);
  assert.deepEqual(await on.store.admit(10), [routeId]);
});

onEveryStore(
  "rule 11: one that could not be called back in time runs, and what waits for it runs after it",
  async (setup) => {
    const on = await rig(setup);
    const sent = await hold(on, { gateKeys, overlap: "SKIP" });
    const { execution } = await run(on, { overlap: "CANCEL_RUNNING" });
    on.clock.us = NOMINAL_US;
    await on.store.markStarted([{ key: keyOf(sent), startUs: NOMINAL_US }]);
    await on.store.storeResults([resultOf(sent)], null);
    assert.equal((await standing(on))[0], "SUCCEEDED");
    assert.deepEqual(await on.store.admit(10), [routeId]);
    assert.equal((await claimOne(on)).executionId, execution.executionId);
  },
);

onMysql(
  "rule 1: one that another scheduler releases under a new policy while it is made ready is left to that one",
  async (setup) => {
    const on = await rig(setup);
    const sent = await hold(on, { gateKeys, overlap: "ALLOW" });
    await run(on, { overlap: "QUEUE_ALL" });
    await on.jobs.update(spec({ command: "new" }), NOMINAL_US + PERIOD_US, null);
    await comeBack(on, sent);
    on.clock.us = NOMINAL_US;
    const late: string[] = [];
    let isReleased = false;
    setup.onStatement(async (transaction, sql) => {
      if (transaction !== "make_ready") return;
      late.push(sql);
      if (isReleased || !sql.includes("FROM gates")) return;
      isReleased = true;
      assert.deepEqual(await on.store.releaseHeld([{ executionId: id, attempt: 1, jobRevision: 1 }]), ["back"]);
    });
    assert.deepEqual(await on.store.makeReady([id]), []);
    assert.ok(isReleased);
    assert.deepEqual(
      late.filter((sql) => sql.includes("UPDATE jobs")),
      [],
      "jobs are locked before executions",
    );
    await on.store.admit(10);
    assert.deepEqual(await on.store.makeReady([id]), [{ executionId: id, ended: "SKIPPED" }]);
    assert.equal((await on.jobs.getByUid(uid))?.fireCount, 0);
  },
);

onEveryStore("rule 11: a pause after the call back skips the fire", async (setup) => {
  const on = await rig(setup);
  const sent = await hold(on, { gateKeys, overlap: "SKIP" });
  await run(on, { overlap: "SKIP" });
  const outcome = await on.jobs.pause(...name, "repairs");
  assert.ok(outcome.kind === "changed" && outcome.held !== undefined);
  await comeBack(on, sent);
  assert.deepEqual(await on.store.releaseHeld([outcome.held]), ["skipped"]);
  assert.deepEqual((await standing(on)).slice(0, 2), ["SKIPPED", "PAUSED"]);
});
