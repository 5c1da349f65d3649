import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { StoreUnavailable } from "../../../services/common/port/store.ts";
import { MeasuredMeshClock } from "../../../services/scheduler/measured-mesh-clock.ts";
import { MANUAL_CLOCK_START_US, ManualClock } from "../../support/manual-clock.ts";
import { keptLog } from "../scheduler-results/setup.ts";

/** A store whose clock is its own, and whose answers take what the test says. */
function setup(t: TestContext) {
  const clock = new ManualClock();
  const { log, messages } = keptLog();
  const store = {
    /** The store's clock less this machine's, microseconds. */
    offsetUs: 0,
    /** Milliseconds of the way there and of the way back, one pair for each round trip; the last one stays. */
    trips: [[0, 0]] as [number, number][],
    away: false,
    asked: 0,
    async nowUs() {
      store.asked += 1;
      const [thereMs, backMs] = (store.trips.length > 1 ? store.trips.shift() : store.trips[0]) ?? [0, 0];
      if (thereMs > 0) await clock.sleep(thereMs);
      if (store.away) throw new StoreUnavailable("away");
      const nowUs = MANUAL_CLOCK_START_US + Math.round(clock.monotonicMs() * 1_000) + store.offsetUs;
      if (backMs > 0) await clock.sleep(backMs);
      return nowUs;
    },
  };
  const meshClock = new MeasuredMeshClock({ clock, store, log });
  t.after(async () => {
    await meshClock.stop();
    assert.equal(clock.armedCount, 0);
  });
  return {
    clock,
    store,
    meshClock,
    messages,
    /** Mesh time less the store's time, microseconds. */
    errorUs: () =>
      meshClock.nowUs() - (MANUAL_CLOCK_START_US + Math.round(clock.monotonicMs() * 1_000) + store.offsetUs),
    start: async (ms = 0) => {
      const started = meshClock.start();
      await clock.advance(ms);
      await started;
    },
  };
}

test("rule 12: mesh time is the store's clock, measured by the shortest of some round trips", async (t) => {
  const rig = setup(t);
  rig.store.offsetUs = 86_400_000_000;
  rig.store.trips = [
    [40, 0],
    [0, 30],
    [1, 1],
    [0, 20],
    [9, 9],
  ];
  await rig.start(200);
  assert.equal(rig.errorUs(), 0, "the symmetric one was the shortest");
  assert.ok(rig.meshClock.uncertaintyUs() >= 1_000 && rig.meshClock.uncertaintyUs() < 1_100);
});

test("rule 12: a step of this machine's clock does not move it", async (t) => {
  const rig = setup(t);
  await rig.start();
  const before = rig.meshClock.nowUs();
  t.mock.method(rig.clock, "wallUs", () => 0);
  await rig.clock.advance(3_000);
  assert.equal(rig.meshClock.nowUs() - before, 3_000_000);
});

test("rule 12: it is measured again each ten seconds, and the uncertainty grows by the drift meanwhile", async (t) => {
  const rig = setup(t);
  rig.store.trips = [[1, 1]];
  await rig.start(10);
  await rig.clock.advance(100);
  const asked = rig.store.asked;
  const fresh = rig.meshClock.uncertaintyUs();
  await rig.clock.advance(5_000);
  assert.ok(Math.abs(rig.meshClock.uncertaintyUs() - fresh - 2_500) <= 1);
  assert.equal(rig.store.asked, asked);
  rig.store.offsetUs = 4_000;
  await rig.clock.advance(5_100);
  assert.ok(rig.store.asked > asked);
  assert.equal(rig.errorUs(), 0);
});

test("rule 12: a slow measurement that agrees with what is known is left out", async (t) => {
  const rig = setup(t);
  await rig.start();
  rig.store.trips = [[80, 0]];
  await rig.clock.advance(10_500);
  assert.equal(rig.errorUs(), 0);
  assert.ok(rig.meshClock.uncertaintyUs() < 10_500 * 0.5 + 1_000);
  // One that does not agree says that the store's clock was set.
  rig.store.offsetUs = 60_000_000;
  await rig.clock.advance(10_500);
  assert.ok(Math.abs(rig.errorUs()) <= 40_000);
});

test("rule 12: a measurement that is a little earlier holds mesh time still; it never goes back by it", async (t) => {
  const rig = setup(t);
  await rig.start();
  const seen: number[] = [];
  rig.store.offsetUs = -5_000;
  for (let ms = 0; ms < 10_010; ms += 1) {
    await rig.clock.advance(1);
    seen.push(rig.meshClock.nowUs());
  }
  for (const [index, nowUs] of seen.entries()) assert.ok(index === 0 || nowUs >= (seen[index - 1] ?? 0));
  assert.equal(rig.errorUs(), 0, "it was reached soon");
});

test("rule 12: a store whose clock was set back far is followed", async (t) => {
  const rig = setup(t);
  await rig.start();
  rig.meshClock.nowUs();
  rig.store.offsetUs = -3_600_000_000;
  await rig.clock.advance(10_010);
  assert.equal(rig.errorUs(), 0);
});

test("rule 12: over 100 ms of uncertainty is reported once, and so is its end", async (t) => {
  const rig = setup(t);
  rig.store.trips = [[150, 150]];
  await rig.start(2_000);
  await rig.clock.advance(25_000);
  assert.deepEqual(rig.messages, ["warn: mesh time is uncertain: the store answers slowly, or not at all"]);
  rig.store.trips = [[0, 0]];
  await rig.clock.advance(25_000);
  assert.ok(rig.meshClock.uncertaintyUs() < 10_500 * 0.5 + 1_000);
});

test("a store that is away leaves mesh time as it was; a start without it rejects", async (t) => {
  const rig = setup(t);
  rig.store.away = true;
  await assert.rejects(rig.meshClock.start(), StoreUnavailable);
  rig.store.away = false;
  await rig.start();
  rig.store.away = true;
  await rig.clock.advance(60_000);
  assert.equal(rig.errorUs(), 0);
  assert.equal(Math.round(rig.meshClock.uncertaintyUs()), 30_000);
});
