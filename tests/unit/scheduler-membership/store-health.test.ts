import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { StoreUnavailable } from "../../../services/common/port/store.ts";
import { silentLogger } from "../../../services/common/runtime/log.ts";
import { StoreHealth } from "../../../services/scheduler/store-health.ts";
import { StoreOutage } from "../../../services/scheduler/store-outage.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { newMember, TestRegistry } from "./setup.ts";

/** A store that answers, refuses or hangs for as long as nowUs may, a second. */
function setup(t: TestContext, clock = new ManualClock()) {
  const store = {
    mode: "well" as "well" | "refuses" | "hangs",
    async nowUs() {
      if (store.mode === "hangs") await clock.sleep(1_000);
      if (store.mode !== "well") throw new StoreUnavailable("connection refused");
      return 1;
    },
  };
  const told: boolean[] = [];
  const health = new StoreHealth({ clock, store, log: silentLogger }, (healthy) => void told.push(healthy));
  t.after(async () => {
    const stopping = health.stop();
    await clock.advance(1_100);
    await stopping;
    assert.equal(clock.armedCount, 0);
  });
  return { clock, store, health, told };
}

for (const mode of ["refuses", "hangs"] as const) {
  test(`rule 30: a store that ${mode} counts as away after a second, and not before`, async (t) => {
    const { clock, store, health, told } = setup(t);
    health.start();
    await clock.advance(10_000);
    assert.deepEqual(told, []);
    store.mode = mode;
    await clock.advance(999);
    assert.deepEqual([health.health().healthy, told], [true, []]);
    await clock.advance(1);
    assert.deepEqual([health.health().healthy, told], [false, [false]]);
    assert.notEqual(health.health().message, "");
    store.mode = "well";
    await clock.advance(1_500);
    assert.deepEqual([health.health(), told], [{ healthy: true, message: "" }, [false, true]]);
  });
}

test("a store that fails for half a second is no outage", async (t) => {
  const { clock, store, health, told } = setup(t);
  health.start();
  for (let time = 0; time < 10; time += 1) {
    store.mode = "refuses";
    await clock.advance(480);
    store.mode = "well";
    await clock.advance(310);
  }
  assert.deepEqual(told, []);
});

test("a store that answers somebody else is not asked, and is asked again once nobody hears of it", async (t) => {
  const { clock, store, health, told } = setup(t);
  let asked = 0;
  const { nowUs } = store;
  t.mock.method(store, "nowUs", () => {
    asked += 1;
    return nowUs();
  });
  health.heard();
  health.start();
  for (let time = 0; time < 40; time += 1) {
    health.heard();
    await clock.advance(250);
  }
  assert.deepEqual([asked, told], [0, []]);
  store.mode = "refuses";
  await clock.advance(740);
  assert.deepEqual([asked > 0, told], [true, []]);
  await clock.advance(10);
  assert.deepEqual([health.health().healthy, told], [false, [false]], "a second after the last answer");
  health.heard();
  assert.deepEqual([health.health(), told], [{ healthy: true, message: "" }, [false, true]]);
  await clock.advance(1_000);
  assert.deepEqual(told, [false, true, false]);
});

test("a process that stood still says nothing of its store", async (t) => {
  /** Timers come late by this, as after a pause of the process. */
  const pause = { ms: 0 };
  class PausedClock extends ManualClock {
    override monotonicMs(): number {
      return super.monotonicMs() + pause.ms;
    }
  }
  const { clock, health, told, store } = setup(t, new PausedClock());
  health.start();
  await clock.advance(200);
  const answer = Promise.withResolvers<number>();
  t.mock.method(store, "nowUs", () => answer.promise);
  // The probe has been sent. Its answer waits to be read when everything comes five seconds late.
  await clock.advance(700);
  pause.ms = 5_000;
  await clock.advance(200);
  answer.resolve(1);
  await clock.advance(500);
  assert.deepEqual(told, []);
});

test("start and stop are idempotent", async (t) => {
  const { clock, health, told, store } = setup(t);
  health.start();
  health.start();
  await clock.advance(100);
  await health.stop();
  await health.stop();
  store.mode = "refuses";
  await clock.advance(5_000);
  assert.deepEqual(told, []);
});

/** Two schedulers on one registry; the first one's outage is watched. */
async function outageOf(t: TestContext) {
  const clock = new ManualClock();
  const registry = new TestRegistry();
  const [own, other] = [newMember(registry, "s-1"), newMember(registry, "s-2")];
  await own.start();
  await other.start();
  let ended = 0;
  const endSessions = (): void => {
    ended += 1;
  };
  const outage = new StoreOutage({ marks: own, endSessions, clock, log: silentLogger });
  outage.start();
  t.after(() => {
    outage.stop();
    assert.equal(clock.armedCount, 0);
  });
  return { clock, own, other, outage, ended: () => ended };
}

test("rule 30: who is without its store ends its sessions where another has it", async (t) => {
  const { clock, outage, own, ended } = await outageOf(t);
  outage.tell(false);
  assert.equal(own.ownedShards().length, 0);
  await clock.advance(1_000);
  assert.equal(ended(), 1);
  outage.tell(true);
  await clock.advance(1_000);
  assert.equal(ended(), 1);
  assert.ok(own.ownedShards().length > 0);
});

test("rule 30: where the store is away for all, sessions stay", async (t) => {
  const { clock, outage, other, ended } = await outageOf(t);
  outage.tell(false);
  await clock.advance(200);
  await other.setStoreHealthy(false);
  await clock.advance(10_000);
  assert.equal(ended(), 0);
  // The other has it again, this one not.
  await other.setStoreHealthy(true);
  await clock.advance(1_000);
  assert.equal(ended(), 1);
});

test("rule 30: a store that is back at once ends no session", async (t) => {
  const { clock, outage, ended } = await outageOf(t);
  outage.tell(false);
  await clock.advance(300);
  outage.tell(true);
  await clock.advance(10_000);
  assert.equal(ended(), 0);
});
