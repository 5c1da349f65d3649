/** What was promised holds after random faults on a whole mesh. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { meshRig } from "./setup.ts";
import { Storm } from "./storm.ts";

const SLOTS = 4;
const FAULTS = 120;

for (const [seed, bus] of [
  [1, false],
  [2, true],
  [3, false],
  [4, true],
] as const) {
  const way = bus ? "bus" : "session";

  test(`rules 2, 5, 17, 19, 20, 25: after storm ${seed} by ${way} nothing is lost or ran twice, and every slot is there`, async (t) => {
    const mesh = await meshRig(t, { bus });
    for (const name of ["s-1", "s-2"]) await mesh.scheduler(name);
    const all = [await mesh.executor("one", { slots: SLOTS }), await mesh.executor("two", { slots: SLOTS })];
    const storm = new Storm(mesh, all, seed);
    await storm.rage(FAULTS);
    await storm.calm();
    const ends = await storm.ends();
    t.diagnostic(`${storm.ids.size} executions: ${[...ends].map(([state, count]) => `${count} ${state}`).join(", ")}`);
    assert.equal(ends.get("LOST"), undefined, "nobody was lost");
    const runs = all.flatMap(({ started }) => started);
    const keys = runs.map(({ context }) => `${context.executionId} ${context.attempt}`);
    assert.equal(new Set(keys).size, keys.length, "no attempt ran twice");
    assert.ok(
      runs.every(({ overlapped }) => !overlapped),
      "under LOST_POLICY_FAIL no attempt ran beside another of its execution",
    );
    const before = all.map(({ started }) => started.length);
    await mesh.submit(2 * SLOTS);
    await mesh.clock.advance(1_000);
    assert.deepEqual(
      all.map(({ started }, index) => started.length - (before[index] ?? 0)),
      [SLOTS, SLOTS],
      "every slot is there",
    );
  });
}

for (const [seed, bus] of [
  [5, false],
  [6, true],
] as const) {
  const way = bus ? "bus" : "session";

  test(`rules 14, 15, 16: in storm ${seed} by ${way}, with losses, no attempt runs beside another of its execution`, async (t) => {
    const mesh = await meshRig(t, { bus });
    for (const name of ["s-1", "s-2"]) await mesh.scheduler(name);
    const { registry } = mesh;
    const all = [await mesh.executor("one", {}, { registry }), await mesh.executor("two", {}, { registry })];
    const storm = new Storm(mesh, all, seed, { lostPolicy: "RETRY", maxStepMs: 2_500, cutsKeys: true });
    await storm.rage(FAULTS);
    await storm.calm();
    const ends = await storm.ends();
    let losses = 0;
    for (const id of storm.ids) losses += (await mesh.get(id)).lossCount;
    t.diagnostic(`${storm.ids.size} executions, ${losses} losses, ${[...ends.keys()].join(", ")}`);
    assert.ok(losses > 0, "somebody was lost");
    assert.equal(ends.get("LOST"), undefined);
    const runs = all.flatMap(({ started }) => started);
    const keys = runs.map(({ context }) => `${context.executionId} ${context.attempt}`);
    assert.equal(new Set(keys).size, keys.length, "no attempt ran twice");
    assert.ok(runs.every(({ overlapped }) => !overlapped));
  });
}
