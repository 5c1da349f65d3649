/** Rule 24: expirers on a real store in memory and a manual clock. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { ExecutionId, SchedulerId } from "../../../services/common/domain/identifier.ts";
import { defaultPolicy } from "../../../services/common/domain/policy.ts";
import { silentLogger } from "../../../services/common/runtime/log.ts";
import { type Hint, Hints } from "../../../services/scheduler/hints.ts";
import { Sweep } from "../../../services/scheduler/sweep.ts";
import { Expirer, type ExpirerConfig, expirerDefaults } from "../../../services/scheduler/timer/expirer.ts";
import { testExecution } from "../../support/new-execution.ts";
import { timerRig } from "./setup.ts";

async function setup(t: TestContext) {
  const rig = await timerRig(t);
  const { clock, store } = rig;
  return {
    ...rig,
    /** The expirer of one more scheduler, and whom it told of ends. */
    expirer: (config: Partial<ExpirerConfig> = {}) => {
      const hints = new Hints();
      const told: Hint[] = [];
      hints.on("ended", (hint) => void told.push(hint));
      const expirer = new Expirer({ store, hints, clock, log: silentLogger }, { ...expirerDefaults, ...config });
      const log = silentLogger;
      const sweep = new Sweep({ store, hints, clock, log }, { schedulerId: "s" as SchedulerId, sweepMs: 250 });
      rig.stops.push(
        () => sweep.stop(),
        () => expirer.stop(),
      );
      sweep.start();
      return { expirer, told };
    },
    submit: async (count: number, startDeadlineMs: number): Promise<ExecutionId[]> => {
      const policy = { ...defaultPolicy, startDeadlineMs };
      const made = Array.from({ length: count }, () => testExecution(clock.wallUs(), { policy }));
      await store.executions.submit(made.map((execution) => ({ execution, request: null, slot: null })));
      return made.map(({ executionId }) => executionId);
    },
    states: async (ids: readonly ExecutionId[]) =>
      new Set((await store.executions.states(ids)).map(({ state }) => state as string)),
  };
}

test("rule 24: what has not started ends within a quarter of a second of its deadline, and no sooner", async (t) => {
  const rig = await setup(t);
  const { expirer, told } = rig.expirer();
  expirer.start();
  const ids = await rig.submit(2, 5_000);
  await rig.clock.advance(5_000);
  assert.deepEqual([await rig.states(ids), told.length], [new Set(["READY"]), 0]);
  await rig.clock.advance(251);
  assert.deepEqual(await rig.states(ids), new Set(["EXPIRED"]));
  assert.deepEqual(new Set(told.map((hint) => hint.kind === "ended" && hint.executionId)), new Set(ids));
});

test("rule 24: a full batch is followed by the next one at once", async (t) => {
  const rig = await setup(t);
  const ids = await rig.submit(7, 1);
  await rig.clock.advance(2);
  const { expirer } = rig.expirer({ maxBatchRows: 3 });
  assert.equal(await expirer.runOnce(), true);
  assert.equal(await expirer.runOnce(), true);
  assert.equal(await expirer.runOnce(), false);
  assert.deepEqual(await rig.states(ids), new Set(["EXPIRED"]));
  const more = await rig.submit(7, 1);
  expirer.start();
  await rig.clock.advance(300);
  assert.deepEqual(await rig.states(more), new Set(["EXPIRED"]));
});

test("rule 24: several expirers at once end each execution once", async (t) => {
  const rig = await setup(t);
  const ids = await rig.submit(20, 100);
  const all = [rig.expirer(), rig.expirer(), rig.expirer({ maxBatchRows: 2 })];
  for (const { expirer } of all) expirer.start();
  await rig.clock.advance(2_000);
  assert.deepEqual(await rig.states(ids), new Set(["EXPIRED"]));
  assert.equal(all.flatMap(({ told }) => told).length, 20);
});

test("rule 24: a store that was away is asked again", async (t) => {
  const rig = await setup(t);
  const ids = await rig.submit(1, 100);
  const { expirer } = rig.expirer();
  expirer.start();
  rig.outage.names = ["past_deadline", "expire"];
  await rig.clock.advance(3_000);
  assert.deepEqual(await rig.states(ids), new Set(["READY"]));
  rig.outage.names = null;
  await rig.clock.advance(300);
  assert.deepEqual(await rig.states(ids), new Set(["EXPIRED"]));
});
