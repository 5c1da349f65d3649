import assert from "node:assert/strict";
import { test } from "node:test";
import type { JobUid, SchedulerId } from "../../../services/common/domain/identifier.ts";
import { silentLogger } from "../../../services/common/runtime/log.ts";
import { type Hint, Hints } from "../../../services/scheduler/hints.ts";
import { Admitter } from "../../../services/scheduler/rescue/admitter.ts";
import { Sweep } from "../../../services/scheduler/sweep.ts";
import { testExecution } from "../../support/new-execution.ts";
import { keptLog } from "../scheduler-results/setup.ts";
import { type RescueRig, rescueRig } from "./setup.ts";

const GATE = "job:11111111-0000-4000-8000-000000000000";

/** Executions that wait for each other, the first of which is let in. */
async function queued(rig: RescueRig, count: number) {
  const group = Array.from({ length: count }, (_, index) => ({
    execution: testExecution(rig.clock.wallUs(), {
      jobUid: GATE.slice(4) as JobUid,
      gateKeys: [GATE],
      overlap: "QUEUE_ALL",
      readyUs: rig.clock.wallUs() - 1_000 + index,
    }),
    request: null,
    slot: null,
  }));
  const outcomes = await rig.store.executions.submit(group);
  return outcomes.map((outcome) => (outcome.kind === "stored" ? outcome.execution : assert.fail(outcome.kind)));
}

function admitting(rig: RescueRig, log = silentLogger) {
  const hints = new Hints();
  const told: Hint[] = [];
  hints.on("ready", (hint) => void told.push(hint));
  const { store, clock } = rig;
  const admitter = new Admitter({ store, hints, clock, log }, { maxGates: 100, recountMs: 60_000 });
  const sweep = new Sweep({ store, hints, clock, log }, { schedulerId: "scheduler-1" as SchedulerId, sweepMs: 250 });
  rig.stops.push(
    () => sweep.stop(),
    () => admitter.stop(),
  );
  sweep.start();
  return { admitter, hints, told };
}

test("rule 7: who waits at a gate is let in as soon as an end is told, and within a sweep when it is not", async (t) => {
  const rig = await rescueRig(t);
  await rig.dispatched(1);
  const [first, second, third] = await queued(rig, 3);
  assert.ok(first && second && third);
  const { admitter, hints, told } = admitting(rig);
  admitter.start();
  await rig.clock.advance(1_000);
  const blocked = async (one: typeof first) => (await rig.store.executions.get(one.executionId))?.blockedKey;
  assert.deepEqual([await blocked(first), await blocked(second), told.length], [null, GATE, 0]);
  await rig.store.executions.requestStop(first.executionId, "CANCEL", "");
  hints.tell({ kind: "ended", executionId: first.executionId });
  await rig.clock.advance(10);
  assert.deepEqual([await blocked(second), await blocked(third), told.length], [null, GATE, 1]);
  await rig.store.executions.requestStop(second.executionId, "CANCEL", "");
  await rig.clock.advance(260);
  assert.deepEqual([await blocked(third), told.length], [null, 2]);
});

test("ends that are told all the time make no more than a look each ten milliseconds", async (t) => {
  const rig = await rescueRig(t);
  const { admitter, hints } = admitting(rig);
  const original = rig.store.executions.admit.bind(rig.store.executions);
  let looks = 0;
  t.mock.method(rig.store.executions, "admit", (limit: number) => {
    looks += 1;
    return original(limit);
  });
  admitter.start();
  const [one] = await rig.dispatched(1);
  assert.ok(one !== undefined);
  for (let ms = 0; ms < 100; ms += 1) {
    hints.tell({ kind: "ended", executionId: one.executionId });
    await rig.clock.advance(1);
  }
  assert.ok(looks >= 9 && looks <= 12, `${looks} looks`);
});

test("rule 7: the gates are recounted each minute and drift is reported", async (t) => {
  const rig = await rescueRig(t);
  await queued(rig, 1);
  const { log, messages } = keptLog();
  const { admitter } = admitting(rig, log);
  const original = rig.store.executions.recountGates.bind(rig.store.executions);
  let recounts = 0;
  t.mock.method(rig.store.executions, "recountGates", async () => {
    recounts += 1;
    await original();
    return [{ gateKey: GATE, drift: 1 }];
  });
  admitter.start();
  await rig.clock.advance(59_000);
  assert.equal(recounts, 0);
  await rig.clock.advance(62_000);
  assert.equal(recounts, 2);
  assert.deepEqual(new Set(messages), new Set(["error: a gate's count had drifted and was mended"]));
});
