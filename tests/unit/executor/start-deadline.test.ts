/** Rule 24: an executor starts nothing after its start deadline, by mesh time. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { HeldWork, setup, WAYS } from "./setup.ts";

for (const way of WAYS) {
  test(`rule 24: what comes after its start deadline comes back NOT_STARTED and never runs, by ${way}`, async (t) => {
    const work = new HeldWork();
    const rig = await setup(t, { way, work: work.run });
    const late = await rig.dispatch(rig.order({ startDeadlineUs: rig.clock.wallUs() - 1 }));
    const { outcome, startUs } = rig.result(late.key);
    assert.deepEqual(
      [outcome, startUs],
      [{ kind: "returned", reason: "NOT_STARTED", message: "its start deadline has passed" }, null],
    );
    await rig.dispatch(late);
    assert.equal(work.started.length, 0, "nor when it is sent again");
    await rig.clock.advance(1_000);
    assert.deepEqual(rig.homes.last.room, { capabilityIndex: null, free: 4, receivedCount: 1 });
  });

  test(`rule 24: what comes at its start deadline runs, and may run past it, by ${way}`, async (t) => {
    const work = new HeldWork();
    const rig = await setup(t, { way, work: work.run });
    const { key } = await rig.dispatch(rig.order({ startDeadlineUs: rig.clock.wallUs() }));
    await rig.clock.advance(5_000);
    work.finish(0);
    await rig.clock.settle();
    assert.equal(rig.result(key).outcome.kind, "succeeded");
  });

  test(`rule 24: the deadline is by mesh time, not by the machine's clock, by ${way}`, async (t) => {
    const work = new HeldWork();
    const rig = await setup(t, { way, work: work.run, manners: { acknowledge: false } });
    const unsure = await rig.dispatch(rig.order({ startDeadlineUs: rig.clock.wallUs() + 3_600_000_000 }));
    assert.equal(rig.result(unsure.key).outcome.kind, "returned", "nobody knows the time yet");
    const meshUs = rig.clock.wallUs() + 60_000_000;
    rig.homes.last.say({ kind: "heartbeat_ack", sequence: 1, timeUs: meshUs, stored: [], heardSequence: 1 });
    await rig.clock.settle();
    const late = await rig.dispatch(rig.order({ startDeadlineUs: meshUs - 1_000_000 }));
    assert.equal(rig.result(late.key).outcome.kind, "returned", "by the machine's clock there was a minute left");
    await rig.dispatch(rig.order({ startDeadlineUs: meshUs + 1_000_000 }));
    assert.equal(work.started.length, 1);
    work.finish(0);
  });
}
