import assert from "node:assert/strict";
import { test } from "node:test";
import type { ExecutorRecord } from "../../../services/common/domain/executor.ts";
import type { SchedulerId } from "../../../services/common/domain/identifier.ts";
import { LossWatch } from "../../../services/scheduler/rescue/loss-watch.ts";
import { testProfile } from "../../support/executor-profile.ts";

const BEAT_MS = 1_000;
/** (lease + margin) / beat + 1 reads of an executor that registers. */
const READS = 7;
const times = { heartbeatMs: BEAT_MS, leaseMs: 5_000, sessionLeaseMs: 45_000, marginMs: 1_000 };

function record(changes: Partial<ExecutorRecord> = {}): ExecutorRecord {
  return {
    ...testProfile("executor-1", { registered: true }),
    sessionNumber: 1,
    home: "s-1" as SchedulerId,
    registeredUs: 1,
    heardUs: 1,
    lostUs: null,
    leftUs: null,
    draining: false,
    freeSlots: 0,
    cpuLoad: 0,
    memoryBytes: 0,
    ...changes,
  };
}

/** A watch with a clock of its own; each read is a beat after the one before unless it says otherwise. */
function watching() {
  const watch = new LossWatch(times);
  let nowMs = 0;
  return (records: readonly ExecutorRecord[], present: readonly string[] | null = [], afterMs = BEAT_MS): number => {
    nowMs += afterMs;
    return watch.read(records, present === null ? null : new Set(present), nowMs).length;
  };
}

test("rule 14: it is lost at the seventh read that finds it silent, and not before", () => {
  const read = watching();
  assert.equal(read([record()]), 0);
  for (let silent = 1; silent < READS; silent += 1) assert.equal(read([record()]), 0, `after ${silent}`);
  assert.equal(read([record()]), 1);
  assert.equal(read([record()]), 1, "until it is declared");
});

test("rule 14: an executor without a key is judged by its beats alone, by its longer lease", () => {
  const read = watching();
  const silent = record({ registered: false });
  let reads = 0;
  while (read([silent]) === 0) reads += 1;
  assert.equal(reads, 1 + 46);
});

test("rule 14: reads less than a beat apart count for nothing", () => {
  const read = watching();
  for (let index = 0; index < 100; index += 1) assert.equal(read([record()], [], 60), 0);
});

test("rule 14: a longer gap adds one: neither a pause nor an outage of the rescuer declares anyone lost", () => {
  const read = watching();
  for (let silent = 0; silent < READS; silent += 1) assert.equal(read([record()], [], 3_600_000), 0);
  assert.equal(read([record()], [], 3_600_000), 1);
});

test("rule 14: what is heard, or a lease that is back, begins the count anew", () => {
  const read = watching();
  for (let silent = 0; silent < READS; silent += 1) assert.equal(read([record()]), 0);
  assert.equal(read([record({ heardUs: 2 })]), 0);
  for (let silent = 1; silent < READS; silent += 1) assert.equal(read([record({ heardUs: 2 })]), 0);
  assert.equal(read([record({ heardUs: 2 })], ["executor-1"]), 0);
  for (let silent = 1; silent < READS; silent += 1) assert.equal(read([record({ heardUs: 2 })]), 0);
  assert.equal(read([record({ heardUs: 2 })]), 1);
});

test("rule 14: a heard_time that went back is a sign of life too: the store's clock may step", () => {
  const read = watching();
  for (let beat = 0; beat < 20; beat += 1) assert.equal(read([record({ heardUs: 1_000 - beat })]), 0);
});

test("rule 14: a registry that cannot be asked counts nothing, and takes nothing back", () => {
  const read = watching();
  for (let silent = 0; silent < READS; silent += 1) assert.equal(read([record()]), 0);
  for (let beat = 0; beat < 100; beat += 1) assert.equal(read([record()], null), 0);
  assert.equal(read([record()]), 1);
});

test("rule 14: an executor without a key is counted while the registry is away", () => {
  const read = watching();
  const silent = record({ registered: false });
  let reads = 0;
  while (read([silent], null) === 0) reads += 1;
  assert.equal(reads, 47);
});

test("rule 14: each incarnation is counted by itself, and one that is gone is forgotten", () => {
  const read = watching();
  const other = record({ incarnation: "executor-1-2" as ExecutorRecord["incarnation"] });
  for (let silent = 0; silent < READS; silent += 1) assert.equal(read([record()]), 0);
  assert.equal(read([other]), 0);
  for (let silent = 0; silent < READS; silent += 1) assert.equal(read([record()]), 0);
  assert.equal(read([record()]), 1);
});
