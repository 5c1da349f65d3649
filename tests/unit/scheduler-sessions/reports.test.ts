import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type AttemptResult,
  MAX_PROGRESS_MESSAGE_CHARS,
  type OutputPiece,
} from "../../../services/common/domain/attempt.ts";
import type { ExecutorProfile } from "../../../services/common/domain/executor.ts";
import type { AttemptKey } from "../../../services/common/domain/identifier.ts";
import type { SessionUp } from "../../../services/common/domain/session.ts";
import { testExecution } from "../../support/new-execution.ts";
import { type CoreOptions, schedulerCore } from "../../support/scheduler-core.ts";

/** A core with `count` dispatched attempts. */
async function setup(t: Parameters<typeof schedulerCore>[0], count = 1, options: CoreOptions = {}) {
  const core = await schedulerCore(t, options);
  const executor = await core.join("one", count, { slots: count });
  await Promise.all(
    Array.from({ length: count }, () =>
      core.submitter.submit({ execution: testExecution(core.nowUs()), request: null }),
    ),
  );
  await core.clock.settle();
  const keys = executor.orders.map(({ key }) => key);
  const [key] = keys;
  assert.ok(key);
  return { core, executor, key, keys };
}

const count = (free: number, receivedCount: number) => ({ capabilityIndex: null, free, receivedCount });

function piece(key: AttemptKey, sequence: number, text = "line\n"): OutputPiece {
  return {
    key,
    stream: "STDOUT",
    sequence,
    data: Buffer.from(text),
    timeUs: 1,
    droppedBytes: 0,
    level: "UNSPECIFIED",
    fieldsJson: "",
    spanId: "",
  };
}

function bareResult(key: AttemptKey, { executorId, incarnation }: ExecutorProfile): AttemptResult {
  return {
    ...{ key, executorId, incarnation, outcome: { kind: "succeeded", result: new Uint8Array() } },
    ...{ startUs: null, endUs: 0, exitCode: null, output: "", errorOutput: "", outputPieceCount: 0, traceparent: "" },
  };
}

test("rule 35: output is acknowledged when stored, by the last piece of each attempt", async (t) => {
  const { core, executor, keys } = await setup(t, 2);
  const hinted: OutputPiece[] = [];
  core.hints.on("output", (hint) => void hinted.push(hint.piece));
  const [one, two] = keys;
  assert.ok(one && two);
  executor.say(
    ...[piece(one, 1), piece(one, 2), piece(two, 1), piece(one, 3)].map((p) => ({ kind: "output" as const, piece: p })),
  );
  await core.clock.settle();
  assert.deepEqual(executor.of("output_ack"), [
    { kind: "output_ack", key: one, sequence: 3 },
    { kind: "output_ack", key: two, sequence: 1 },
  ]);
  const stored = await core.store.output.read({
    executionId: one.executionId,
    attempt: 1,
    afterSequence: 0,
    streams: [],
    maxBytes: 1_000_000,
  });
  assert.equal(stored.length, 3);
  assert.equal(hinted.length, 4);
});

test("rule 35: while the store is away output is kept and not acknowledged, and the session stands", async (t) => {
  const { core, executor, key } = await setup(t);
  core.outage.names = [];
  executor.say({ kind: "output", piece: piece(key, 1) });
  await core.clock.advance(5_000);
  assert.deepEqual(executor.of("output_ack"), []);
  core.outage.names = null;
  await core.clock.advance(2_000);
  assert.equal(executor.of("output_ack").at(-1)?.sequence, 1);
  assert.equal(executor.open, true);
});

test("rule 35: output does not delay a heartbeat's answer, and counts as one", async (t) => {
  const { core, executor, key } = await setup(t);
  core.outage.names = ["output.append"];
  const acks = executor.of("heartbeat_ack").length;
  await core.beats.runOnce();
  executor.say({ kind: "output", piece: piece(key, 1) });
  executor.beat(0, 1);
  await core.clock.settle();
  assert.equal(executor.of("heartbeat_ack").length, acks + 2);
  await core.beats.runOnce();
  executor.say({ kind: "output", piece: piece(key, 2) });
  await core.clock.settle();
  assert.equal(await core.beats.runOnce(), 1, "a piece of output is a sign of life");
});

test("rule 18: results by the session are acknowledged when stored, up to the last of those stored in a row", async (t) => {
  const { core, executor, keys } = await setup(t, 3);
  for (const key of keys) executor.succeed(key);
  await core.clock.settle();
  assert.deepEqual(executor.of("result_stored").at(-1), { kind: "result_stored", sequence: 3 });
  for (const { executionId } of keys) {
    assert.equal((await core.store.executions.get(executionId))?.state, "SUCCEEDED");
  }
});

test("rule 18: while the store is away a result is not acknowledged, and is stored when it is back", async (t) => {
  const { core, executor, key } = await setup(t);
  core.outage.names = [];
  executor.succeed(key);
  await core.clock.advance(3_000);
  assert.deepEqual(executor.of("result_stored"), []);
  core.outage.names = null;
  await core.clock.advance(2_000);
  assert.equal(executor.of("result_stored").at(-1)?.sequence, 1);
  assert.equal((await core.store.executions.get(key.executionId))?.state, "SUCCEEDED");
});

test("a result under a key that is not current is acknowledged and changes nothing", async (t) => {
  const { core, executor, key } = await setup(t);
  executor.succeed({ ...key, attempt: 7 });
  await core.clock.settle();
  assert.equal(executor.of("result_stored").at(-1)?.sequence, 1);
  assert.equal((await core.store.executions.get(key.executionId))?.state, "DISPATCHED");
});

test("a result of another executor, or one whose sequence does not rise, ends the session", async (t) => {
  const { core, executor, key } = await setup(t);
  executor.result(key, { kind: "succeeded", result: new Uint8Array() }, { executorId: "two" as never });
  await core.clock.settle();
  assert.equal(executor.closedBy?.reason, "PROTOCOL_VIOLATION");
  const other = await core.join("three", 1);
  other.succeed(key);
  other.say({
    kind: "result",
    sequence: 1,
    result: bareResult(key, other.profile),
  });
  await core.clock.settle();
  assert.equal(other.closedBy?.reason, "PROTOCOL_VIOLATION");
});

test("output and counts beyond their limits end the session, and at their limits they are taken", async (t) => {
  const { core, executor, key } = await setup(t);
  const fieldsJson = `"${"x".repeat(1024 * 1024)}"`;
  executor.say({ kind: "output", piece: { ...piece(key, 1, "x".repeat(64 * 1024)), fieldsJson } });
  await core.clock.settle();
  assert.equal(executor.of("output_ack").length, 1);
  const wrong: SessionUp[] = [
    { kind: "output", piece: piece(key, 1, "x".repeat(64 * 1024 + 1)) },
    { kind: "output", piece: piece(key, 0) },
    { kind: "heartbeat", sequence: 9, slots: [count(-1, 0)], cpuLoad: 0, memoryBytes: 0, sendUs: 0 },
    { kind: "heartbeat", sequence: 9, slots: [count(0, Number.NaN)], cpuLoad: 0, memoryBytes: 0, sendUs: 0 },
    // What 64 bits hold and a number does not would be acknowledged as another, or not be writable at all.
    { kind: "heartbeat", sequence: 2 ** 64, slots: [], cpuLoad: 0, memoryBytes: 0, sendUs: 0 },
    { kind: "heartbeat", sequence: 9, slots: [], cpuLoad: 0, memoryBytes: -1, sendUs: 0 },
    { kind: "output", piece: piece(key, 2 ** 64) },
    { kind: "output", piece: { ...piece(key, 1), droppedBytes: -1 } },
  ];
  for (const [index, message] of wrong.entries()) {
    const other = await core.join(`other-${index}`, 1);
    other.say(message);
    await core.clock.settle();
    assert.equal(other.closedBy?.code, "INVALID_ARGUMENT", `case ${index}`);
  }
  for (const [sequence, outputPieceCount] of [
    [2 ** 64, 0],
    [1, 2 ** 64],
  ] as const) {
    const other = await core.join(`result-${sequence}`, 1);
    other.say({ kind: "result", sequence, result: { ...bareResult(key, other.profile), outputPieceCount } });
    await core.clock.settle();
    assert.equal(other.closedBy?.reason, "INVALID_FIELD", `result ${sequence}`);
  }
});

test("a started attempt is RUNNING with its start time", async (t) => {
  const { core, executor, key } = await setup(t);
  executor.say({ kind: "started", key, startUs: 123_000 });
  await core.clock.settle();
  const execution = await core.store.executions.get(key.executionId);
  assert.equal(execution?.state, "RUNNING");
});

test("progress is stored once a beat, the newest of each attempt, all in one transaction", async (t) => {
  const { core, executor, keys } = await setup(t, 2);
  const [one, two] = keys;
  assert.ok(one && two);
  const [store, written] = [core.store.executions, [] as number[]];
  const storeProgress = store.storeProgress.bind(store);
  store.storeProgress = (reports) => {
    written.push(reports.length);
    return storeProgress(reports);
  };
  for (const fraction of [0.1, 0.2, 0.3])
    executor.say({ kind: "progress", key: one, fraction, message: `${fraction}` });
  executor.say({ kind: "progress", key: two, fraction: 1, message: "" });
  await core.clock.advance(999);
  assert.deepEqual(written, [], "not before the beat");
  await core.clock.advance(1);
  assert.deepEqual(written, [2]);
  const stored = await Promise.all(keys.map(({ executionId }) => store.get(executionId)));
  assert.deepEqual(
    stored.map((execution) => execution?.progress),
    [
      { fraction: 0.3, message: "0.3" },
      { fraction: 1, message: "" },
    ],
  );
  await core.clock.advance(5_000);
  assert.deepEqual(written, [2], "nothing new, nothing written");
});

test("progress that is no part of the whole, or says too much, ends the session", async (t) => {
  const { core, key } = await setup(t);
  const fits = { kind: "progress", key, fraction: 1, message: "m".repeat(MAX_PROGRESS_MESSAGE_CHARS) } as const;
  const good = await core.join("good", 1);
  good.say(fits);
  await core.clock.settle();
  assert.equal(good.open, true, "at the bound it is taken");
  const wrong = [{ fraction: -0.1 }, { fraction: 1.1 }, { fraction: Number.NaN }, { message: `${fits.message}m` }];
  for (const [index, change] of wrong.entries()) {
    const other = await core.join(`other-${index}`, 1);
    other.say({ ...fits, ...change });
    await core.clock.settle();
    assert.equal(other.closedBy?.code, "INVALID_ARGUMENT", `case ${index}`);
  }
});

test("one that is leaving gets no work, and has left when its last attempt ended", async (t) => {
  const { core, executor, key } = await setup(t);
  core.departures.start();
  executor.say({ kind: "leaving", reason: "SIGTERM" });
  executor.beat(1, 1);
  await core.clock.advance(1_000);
  assert.equal(core.roster.anyRoom(), false);
  assert.equal(executor.open, true, "an attempt runs");
  executor.succeed(key);
  await core.clock.advance(250);
  assert.equal(executor.open, true, "the executor ends first");
  executor.end();
  await core.clock.settle();
  assert.equal(executor.closedBy, null, "it ended in order");
  assert.deepEqual(await core.store.executors.live(), []);
  assert.equal(core.roster.size, 0);
  assert.deepEqual([...core.sessions.sessions()], []);
});

test("one that leaves an attempt behind does not count as left, and its stream ends after five seconds", async (t) => {
  const { core, executor } = await setup(t);
  core.departures.start();
  executor.say({ kind: "leaving", reason: "SIGTERM" });
  executor.end();
  await core.clock.advance(4_999);
  assert.equal(executor.open, true);
  await core.clock.advance(251);
  assert.equal(executor.closedBy, null);
  assert.equal((await core.store.executors.live()).length, 1, "the rescuer judges it");
});

test("one that ends its side without a word of leaving is only homed elsewhere", async (t) => {
  const { core, executor } = await setup(t);
  core.departures.start();
  executor.end();
  await core.clock.settle();
  assert.equal(executor.closedBy, null);
  assert.equal((await core.store.executors.live()).length, 1);
  assert.equal(core.roster.size, 0);
});

test("a stream that breaks takes the executor from the roster, and nothing of it from the store", async (t) => {
  const { core, executor, key } = await setup(t);
  executor.drop();
  await core.clock.settle();
  assert.equal(core.roster.size, 0);
  assert.equal((await core.store.executors.live()).length, 1);
  assert.equal((await core.store.executions.get(key.executionId))?.state, "DISPATCHED");
});

test("stop ends all sessions with SHUTTING_DOWN and takes no more", async (t) => {
  const { core, executor } = await setup(t);
  await core.stop();
  await core.clock.settle();
  assert.equal(executor.closedBy?.reason, "SHUTTING_DOWN");
  const late = await core.join("late", null);
  assert.equal(late.closedBy?.reason, "SHUTTING_DOWN");
});
