import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { openStore } from "../../../services/common/adapter/open-store.ts";
import type { NewExecution } from "../../../services/common/domain/execution.ts";
import { defaultPolicy } from "../../../services/common/domain/policy.ts";
import { silentLogger } from "../../../services/common/runtime/log.ts";
import { SystemRandom } from "../../../services/common/runtime/system-random.ts";
import { Cleaner } from "../../../services/scheduler/retention/cleaner.ts";
import { LeftoverSweep } from "../../../services/scheduler/retention/leftover-sweep.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { testExecution } from "../../support/new-execution.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** A store in memory, cleaners that own their task unless the test says otherwise, and executions that are cancelled. */
async function setup(t: TestContext) {
  const clock = new ManualClock();
  const store = openStore("sqlite::memory:", { clock, random: new SystemRandom() });
  await store.start();
  const owners = { owns: true, ownsTask: () => owners.owns };
  const stops: (() => Promise<void>)[] = [];
  t.after(async () => {
    await Promise.all(stops.map((stop) => stop()));
    assert.equal(clock.armedCount, 0, "no timer is left");
    await store.stop();
  });
  const cleaner = (retentionMs = HOUR_MS): Cleaner => {
    const meshClock = { nowUs: () => clock.wallUs(), uncertaintyUs: () => 0 };
    const made = new Cleaner({ store, owners, meshClock, clock, log: silentLogger }, { retentionMs });
    stops.push(() => made.stop());
    return made;
  };
  const end = async (count: number, changes: Partial<NewExecution> = {}) => {
    const group = Array.from({ length: count }, () => testExecution(clock.wallUs(), changes));
    await store.executions.submit(group.map((execution) => ({ execution, request: null, slot: null })));
    for (const { executionId } of group) await store.executions.requestStop(executionId, "CANCEL", "");
    return group.map(({ executionId }) => executionId);
  };
  return { clock, store, owners, cleaner, end };
}

type Setup = Awaited<ReturnType<typeof setup>>;

async function left({ store }: Setup, ids: Awaited<ReturnType<Setup["end"]>>): Promise<number> {
  return (await store.executions.states(ids)).length;
}

test("only the scheduler that owns the task deletes history, and goes on while there is more", async (t) => {
  const rig = await setup(t);
  const ids = await rig.end(600);
  await rig.clock.advance(HOUR_MS + 1);
  rig.owners.owns = false;
  const cleaner = rig.cleaner();
  assert.equal(await cleaner.runOnce(), false);
  assert.equal(await left(rig, ids), 600);
  rig.owners.owns = true;
  const counts: number[] = [];
  while (await cleaner.runOnce()) counts.push(await left(rig, ids));
  assert.deepEqual([...counts, await left(rig, ids)], [350, 100, 0]);
});

test("history is deleted when its retention ends, and no sooner", async (t) => {
  const rig = await setup(t);
  const usual = await rig.end(1);
  const short = await rig.end(1, { policy: { ...defaultPolicy, retentionMs: MINUTE_MS } });
  const long = await rig.end(1, { policy: { ...defaultPolicy, retentionMs: 2 * HOUR_MS } });
  const failed = await rig.end(1, {
    policy: { ...defaultPolicy, retentionMs: MINUTE_MS, failedRetentionMs: 2 * HOUR_MS },
  });
  const cleaner = rig.cleaner();
  const counts = async () => Promise.all([usual, short, long, failed].map((ids) => left(rig, ids)));
  await rig.clock.advance(MINUTE_MS - 1);
  await cleaner.runOnce();
  assert.deepEqual(await counts(), [1, 1, 1, 1]);
  await rig.clock.advance(2);
  await cleaner.runOnce();
  assert.deepEqual(await counts(), [1, 0, 1, 1]);
  await rig.clock.advance(HOUR_MS);
  await cleaner.runOnce();
  assert.deepEqual(await counts(), [0, 0, 1, 1]);
  await rig.clock.advance(HOUR_MS);
  await cleaner.runOnce();
  assert.deepEqual(await counts(), [0, 0, 0, 0]);
});

test("what ends later than the last look is deleted, too, and so is what another cleaner had begun", async (t) => {
  const rig = await setup(t);
  const [first, second] = [rig.cleaner(), rig.cleaner()];
  const early = await rig.end(300);
  await rig.clock.advance(30 * MINUTE_MS);
  const late = await rig.end(3);
  await rig.clock.advance(30 * MINUTE_MS + 1);
  assert.equal(await first.runOnce(), true);
  assert.deepEqual([await left(rig, early), await left(rig, late)], [50, 3]);
  await Promise.all([first.runOnce(), second.runOnce()]);
  assert.deepEqual([await left(rig, early), await left(rig, late)], [0, 3]);
  await rig.clock.advance(30 * MINUTE_MS);
  await first.runOnce();
  assert.equal(await left(rig, late), 0);
});

test("request_ids are forgotten in rounds that come by themselves", async (t) => {
  const rig = await setup(t);
  const request = { namespace: "default", method: "submit", requestId: "r", bodyHash: "a".repeat(64) } as const;
  await rig.store.executions.submit([{ execution: testExecution(rig.clock.wallUs()), request, slot: null }]);
  rig.cleaner(48 * HOUR_MS).start();
  await rig.clock.advance(23 * HOUR_MS);
  assert.equal((await rig.store.executions.repeatOf(request))?.kind, "repeated");
  await rig.clock.advance(HOUR_MS + MINUTE_MS);
  assert.equal(await rig.store.executions.pruneRequests(10), 0, "it was forgotten before");
});

test("leftovers are swept each hour, each kind to its end, and nothing younger than a day is touched", async () => {
  const clock = new ManualClock();
  const calls: string[] = [];
  const pages: Record<string, (string | null)[]> = {
    gates: ["b", null],
    revisions: [null],
    descriptors: [null],
    routes: [null],
  };
  const deleteLeftovers = async (kind: string, sinceUs: number, after: string | null) => {
    calls.push(`${kind} ${after} ${(clock.wallUs() - sinceUs) / 3_600_000_000} h`);
    return { deleted: 1, place: pages[kind]?.shift() ?? null };
  };
  const meshClock = { nowUs: () => clock.wallUs(), uncertaintyUs: () => 0 };
  const deps = { store: { retention: { deleteLeftovers } } as never, meshClock, clock, log: silentLogger };
  const sweep = new LeftoverSweep(deps, MINUTE_MS);
  const answers = [await sweep.runOnce(), await sweep.runOnce(), await sweep.runOnce(), await sweep.runOnce()];
  assert.deepEqual(answers, [true, true, true, false]);
  assert.deepEqual(calls, ["gates null 25 h", "gates b 25 h", "revisions null 25 h", "descriptors null 25 h"]);
  await clock.advance(HOUR_MS - 1);
  assert.deepEqual([await sweep.runOnce(), calls.length], [false, 4]);
  await clock.advance(1);
  assert.deepEqual([await sweep.runOnce(), calls.length], [true, 5]);
  assert.deepEqual([await sweep.runOnce(), await sweep.runOnce()], [true, true]);
  assert.deepEqual([await sweep.runOnce(), calls.at(-1)], [false, "routes null 25 h"], "not in the first sweep");
});
