import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import type { OutputPiece } from "../../services/common/domain/attempt.ts";
import type { AttemptKey } from "../../services/common/domain/identifier.ts";
import { testExecution } from "../support/new-execution.ts";
import { storeTest, type TestDatabase } from "../support/store.ts";
import { newFence, registration } from "../support/store-records.ts";

/** The key of an attempt that runs. */
async function currentAttempt({ store }: TestDatabase): Promise<AttemptKey> {
  const hello = registration();
  await store.executors.register(hello);
  const { executorId, incarnation } = hello.profile;
  const fence = newFence();
  const execution = testExecution(await store.nowUs());
  const slot = { executorId, incarnation, sessionNumber: 1, fence };
  await store.executions.submit([{ execution, request: null, slot }]);
  return { executionId: execution.executionId, attempt: 1, fence };
}

function pieceOf(key: AttemptKey, sequence: number, parts: Partial<OutputPiece> = {}): OutputPiece {
  return {
    key,
    stream: "STDOUT",
    sequence,
    data: Uint8Array.of(sequence),
    timeUs: 1_700_000_000_000_000 + sequence,
    droppedBytes: 0,
    level: "UNSPECIFIED",
    fieldsJson: "",
    spanId: "",
    ...parts,
  };
}

const readAll = { attempt: 1, afterSequence: 0, streams: [], maxBytes: 1_000_000 } as const;

function plain(pieces: readonly OutputPiece[]): OutputPiece[] {
  return pieces.map((piece) => ({ ...piece, data: Uint8Array.from(piece.data) }));
}

storeTest("rule 35: pieces are read in order, those that are there stay as they are", async (db) => {
  const { store } = db;
  const key = await currentAttempt(db);
  const data = new Uint8Array(randomBytes(64 * 1024));
  const rich = {
    stream: "HANDLER",
    level: "WARN",
    fieldsJson: '{"a":"ä\\u0000"}',
    spanId: "00f067aa0ba902b7",
  } as const;
  const pieces = [pieceOf(key, 1), pieceOf(key, 2, { data, droppedBytes: 9, ...rich }), pieceOf(key, 3)];
  await store.output.append([pieces[2], pieces[0]] as OutputPiece[]);
  await store.output.append([pieceOf(key, 1, { data: Uint8Array.of(99) }), ...pieces.slice(1, 2)]);
  await store.output.append([]);
  assert.deepEqual(plain(await store.output.read({ ...readAll, executionId: key.executionId })), pieces);
});

storeTest("rule 2: output under another key is dropped", async (db) => {
  const { store } = db;
  const key = await currentAttempt(db);
  const strange = [{ ...key, fence: newFence() }, { ...key, attempt: 2 }, testKey()];
  await store.output.append([...strange.map((other) => pieceOf(other, 1)), pieceOf(key, 2)]);
  const { executionId } = key;
  assert.deepEqual(plain(await store.output.read({ ...readAll, executionId })), [pieceOf(key, 2)]);
  assert.deepEqual(await store.output.read({ ...readAll, executionId, attempt: 2 }), []);
});

function testKey(): AttemptKey {
  return { executionId: testExecution(1_700_000_000_000_000).executionId, attempt: 1, fence: newFence() };
}

storeTest("output is read after a place, of streams, and to about a number of bytes", async (db) => {
  const { store } = db;
  const key = await currentAttempt(db);
  const pieces = Array.from({ length: 150 }, (_, at) =>
    pieceOf(key, at + 1, { stream: at % 2 === 0 ? "STDOUT" : "STDERR", data: new Uint8Array(100) }),
  );
  await store.output.append(pieces);
  const read = { ...readAll, executionId: key.executionId };
  const sequences = async (parts: Partial<Parameters<typeof store.output.read>[0]>): Promise<number[]> =>
    (await store.output.read({ ...read, ...parts })).map(({ sequence }) => sequence);
  assert.equal((await sequences({})).length, 150);
  assert.deepEqual(await sequences({ afterSequence: 147 }), [148, 149, 150]);
  assert.deepEqual(await sequences({ afterSequence: 145, streams: ["STDERR"] }), [146, 148, 150]);
  assert.deepEqual(await sequences({ maxBytes: 250 }), [1, 2]);
  assert.deepEqual(await sequences({ maxBytes: 1 }), [1]);
  assert.equal((await sequences({ maxBytes: 14_000 })).length, 140);
});

storeTest(
  "output is read back from a place: the last piece first, of streams, and to about a number of bytes",
  async (db) => {
    const { store } = db;
    const key = await currentAttempt(db);
    const pieces = Array.from({ length: 150 }, (_, at) =>
      pieceOf(key, at + 1, { stream: at % 2 === 0 ? "STDOUT" : "STDERR", data: new Uint8Array(100) }),
    );
    await store.output.append(pieces);
    const read = { ...readAll, executionId: key.executionId, beforeSequence: Number.MAX_SAFE_INTEGER };
    const sequences = async (parts: Partial<Parameters<typeof store.output.readBack>[0]>): Promise<number[]> =>
      (await store.output.readBack({ ...read, ...parts })).map(({ sequence }) => sequence);
    const back = Array.from({ length: 150 }, (_, at) => 150 - at);
    assert.deepEqual(await sequences({}), back);
    assert.deepEqual(await sequences({ beforeSequence: 4 }), [3, 2, 1]);
    assert.deepEqual(await sequences({ beforeSequence: 4, afterSequence: 1 }), [3, 2]);
    assert.deepEqual(await sequences({ afterSequence: 145, streams: ["STDERR"] }), [150, 148, 146]);
    assert.deepEqual(await sequences({ maxBytes: 250 }), [150, 149]);
    assert.deepEqual(await sequences({ maxBytes: 1 }), [150]);
    assert.deepEqual(await sequences({ beforeSequence: 1 }), []);
    assert.deepEqual(
      plain(await store.output.readBack({ ...read, beforeSequence: 2 })),
      plain(await store.output.read({ ...readAll, executionId: key.executionId, maxBytes: 1 })),
    );
  },
);

storeTest("rule 35: completeness is known when the attempt has ended, and late output still counts", async (db) => {
  const { store } = db;
  const key = await currentAttempt(db);
  const { executionId } = key;
  await store.output.append([pieceOf(key, 1)]);
  assert.equal(await store.output.completeness(executionId, 1), null);
  const [execution] = await store.executions.forResend([key]);
  assert.ok(execution?.executorId && execution.incarnation);
  const { executorId, incarnation } = execution;
  const outcome = { kind: "succeeded", result: new Uint8Array(0) } as const;
  const end = { startUs: 1, endUs: 2, exitCode: 0, output: "", errorOutput: "", outputPieceCount: 2, traceparent: "" };
  await store.executions.storeResults([{ key, executorId, incarnation, outcome, ...end }], null);
  assert.deepEqual(await store.output.completeness(executionId, 1), { written: 2, stored: 1 });
  await store.output.append([pieceOf(key, 2)]);
  assert.deepEqual(await store.output.completeness(executionId, 1), { written: 2, stored: 2 });
});
