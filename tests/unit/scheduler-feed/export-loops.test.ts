/** Rule 34: what of execution.v1 a scheduler runs, and when it refuses to. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createMetrics } from "../../../services/common/telemetry/create-metrics.ts";
import { exportLoops } from "../../../services/scheduler/export-loops.ts";
import { Hints } from "../../../services/scheduler/hints.ts";
import { testExport } from "./exporting.ts";

async function deps(t: Parameters<typeof testExport>[0]) {
  const rig = await testExport(t);
  const metrics = await createMetrics({ serviceName: "test", instanceId: "test", version: "1" });
  t.after(() => metrics.stop());
  const meshClock = { nowUs: () => rig.clock.wallUs(), uncertaintyUs: () => 0 };
  const owners = { ownsEndedEvents: () => rig.ownership.owned };
  return { ...rig, metrics, meshClock, owners, hints: new Hints() };
}

test("nothing runs where it is switched off, with Kafka or without", async (t) => {
  const given = await deps(t);
  assert.deepEqual(exportLoops(given, { executionEvents: false }), []);
  assert.deepEqual(exportLoops({ ...given, bus: null }, { executionEvents: false }), []);
});

test("where it is switched on and there is no Kafka it is refused by its field", async (t) => {
  const given = await deps(t);
  assert.throws(() => exportLoops({ ...given, bus: null }, { executionEvents: true }), {
    reason: "CONFIG_INVALID",
    fieldViolations: [{ field: "executionEvents", description: "must be false, because there is no Kafka" }],
  });
});

test("ends and changes are written, and how far behind the topic is shows while they are written here", async (t) => {
  const given = await deps(t);
  const loops = exportLoops(given, { executionEvents: true });
  const behind = async (): Promise<number> =>
    Number(/^jobmesh_events_behind_seconds(?:\{.*\})? (\S+)/m.exec(await given.metrics.render())?.[1]);
  for (const loop of loops) loop.start();
  await given.clock.advance(10);
  const [id] = await given.submit(1);
  assert.ok(id !== undefined);
  given.hints.tell({ kind: "moved", executionIds: [id] });
  await given.clock.advance(10);
  await given.store.executions.requestStop(id, "CANCEL", "");
  await given.clock.advance(300);
  const states = given.memory.changes.map(({ execution }) => execution.state);
  assert.deepEqual(states, ["READY", "CANCELLED"]);
  assert.ok((await behind()) < 0.3);
  given.memory.away = true;
  await given.end();
  await given.clock.advance(60_000);
  assert.ok((await behind()) >= 60);
  given.memory.away = false;
  given.ownership.owned = false;
  await given.clock.advance(2_000);
  assert.equal(await behind(), Number.NaN, "another one knows");
  for (const loop of loops) await loop.stop();
});
