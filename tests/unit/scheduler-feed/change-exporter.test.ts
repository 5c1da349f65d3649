/** Rule 34: states in between are written as they are seen, and hold up nothing. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { ExecutionId } from "../../../services/common/domain/identifier.ts";
import { ChangeExporter } from "../../../services/scheduler/feed/change-exporter.ts";
import { Hints } from "../../../services/scheduler/hints.ts";
import { testExport } from "./exporting.ts";

async function setup(t: TestContext) {
  const rig = await testExport(t);
  const { store, bus, clock, log } = rig;
  const hints = new Hints();
  const meshClock = { nowUs: () => clock.wallUs(), uncertaintyUs: () => 0 };
  const reads = { rows: 0 };
  const feed = {
    ...store.feed,
    read: (ids: readonly ExecutionId[], full: boolean) => {
      reads.rows += ids.length;
      return store.feed.read(ids, full);
    },
  };
  const exporter = new ChangeExporter({
    ...{ bus, hints, meshClock, clock, log },
    store: { ...store, feed },
    explain: async (_store, executions) => executions.map((one) => ({ ...one, stateReason: "NO_FREE_SLOT" as const })),
  });
  exporter.start();
  t.after(() => exporter.stop());
  const moved = (executionIds: readonly ExecutionId[]): void => hints.tell({ kind: "moved", executionIds });
  const states = () => rig.memory.changes.map(({ execution }) => [execution.executionId, execution.state]);
  return { ...rig, reads, moved, states };
}

test("what this scheduler moved is written at once, with why it waits and when it was moved", async (t) => {
  const rig = await setup(t);
  const ids = await rig.submit(3);
  await rig.clock.advance(5);
  const nowUs = rig.clock.wallUs();
  rig.moved(ids);
  await rig.clock.settle();
  assert.deepEqual(
    rig.states(),
    ids.map((id) => [id, "READY"]),
  );
  const [first] = rig.memory.changes;
  assert.deepEqual([first?.timeUs, first?.execution.stateReason], [nowUs, "NO_FREE_SLOT"]);
});

test("what has ended by then is left to the reader of the ends", async (t) => {
  const rig = await setup(t);
  rig.moved(await rig.end(2));
  await rig.clock.settle();
  assert.deepEqual(rig.states(), []);
});

test("while Kafka is away changes are left out, and what comes after it is written", async (t) => {
  const rig = await setup(t);
  const ids = await rig.submit(2);
  rig.memory.away = true;
  rig.moved(ids.slice(0, 1));
  await rig.clock.advance(2_000);
  assert.deepEqual(rig.said, ["the bus is away"]);
  rig.memory.away = false;
  rig.moved(ids.slice(1));
  await rig.clock.advance(10);
  assert.deepEqual(rig.states(), [[ids[1], "READY"]]);
});

test("at the bound of what waits to be read the rest is left out", async (t) => {
  const rig = await setup(t);
  const names = Array.from({ length: 12_000 }, (_, at) => `n${at}` as ExecutionId);
  rig.moved(names);
  await rig.clock.advance(100);
  assert.equal(rig.reads.rows, 10_000);
  const ids = await rig.submit(1);
  rig.moved(ids);
  await rig.clock.advance(10);
  assert.deepEqual(rig.states(), [[ids[0], "READY"]]);
});
