import assert from "node:assert/strict";
import { test } from "node:test";
import { LogStream, type ReadLogsResponse } from "../../../gen/jobmesh/v1/execution_service.ts";
import type { OutputPiece, OutputStream } from "../../../services/common/domain/attempt.ts";
import type { AttemptKey } from "../../../services/common/domain/identifier.ts";
import { seededDraw } from "../schedule/seeded-draw.ts";
import { follow, piece, running, sequences, write } from "./log-follow.ts";
import { type TestApi, testApi } from "./setup.ts";

const { LOG_STREAM_STDERR: STDERR, LOG_STREAM_HANDLER: HANDLER } = LogStream;
const NEWLINE = 0x0a;

/** What came, as "stream:text". */
function shown(pieces: readonly ReadLogsResponse[]): string[] {
  const letter: Readonly<Record<number, string>> = { 1: "o", 2: "e", 3: "h" };
  return pieces.map(({ stream, content }) => `${letter[stream]}:${content?.value}`);
}

async function tail(api: TestApi, executionId: string, lines: number, more = {}): Promise<ReadLogsResponse[]> {
  const log = follow(api, { executionId, tailLines: BigInt(lines), ...more });
  await log.done;
  return log.pieces;
}

test("the last lines are cut out of the pieces that they stand in, whatever the pieces are", async (t) => {
  const api = await testApi(t);
  const { key, execution } = await running(api);
  await write(api, piece(key, 1, "one\ntw"), piece(key, 2, "o\n"), piece(key, 3, "three\nfo"), piece(key, 4, "ur"));
  const { executionId } = execution;
  assert.deepEqual(shown(await tail(api, executionId, 1)), ["o:fo", "o:ur"], "a line without its end is one");
  assert.deepEqual(shown(await tail(api, executionId, 2)), ["o:three\nfo", "o:ur"]);
  assert.deepEqual(shown(await tail(api, executionId, 3)), ["o:tw", "o:o\n", "o:three\nfo", "o:ur"]);
  for (const lines of [4, 5, 100_000]) {
    assert.deepEqual(sequences(await tail(api, executionId, lines)), [1, 2, 3, 4], "no more is there");
  }
  await write(api, piece(key, 5, "\n"));
  assert.deepEqual(shown(await tail(api, executionId, 1)), ["o:fo", "o:ur", "o:\n"], "its end is its own");
  await write(api, piece(key, 6, "\n"));
  assert.deepEqual(shown(await tail(api, executionId, 1)), ["o:\n"], "an empty line is a line");
});

test("lines of two streams and of a handler count together, each by its end; a stream with none of them shows nothing", async (t) => {
  const api = await testApi(t);
  const { key, execution } = await running(api);
  const { executionId } = execution;
  await write(
    api,
    piece(key, 1, "early\n", { stream: "STDERR" }),
    piece(key, 2, "a\nb"),
    piece(key, 3, "oh\n", { stream: "STDERR" }),
    piece(key, 4, "entry", { stream: "HANDLER" }),
    piece(key, 5, "b\n"),
  );
  assert.deepEqual(shown(await tail(api, executionId, 1)), ["o:b", "o:b\n"]);
  assert.deepEqual(shown(await tail(api, executionId, 2)), ["o:b", "h:entry", "o:b\n"]);
  assert.deepEqual(shown(await tail(api, executionId, 3)), ["o:b", "e:oh\n", "h:entry", "o:b\n"]);
  assert.deepEqual(shown(await tail(api, executionId, 4)), ["o:a\nb", "e:oh\n", "h:entry", "o:b\n"]);
  assert.deepEqual(shown(await tail(api, executionId, 1, { streams: [STDERR] })), ["e:oh\n"]);
  assert.deepEqual(shown(await tail(api, executionId, 9, { streams: [STDERR, HANDLER] })), [
    "e:early\n",
    "e:oh\n",
    "h:entry",
  ]);
  assert.deepEqual(shown(await tail(api, executionId, 3, { afterSequence: 3n })), ["h:entry", "o:b\n"]);
  assert.deepEqual(await tail(api, executionId, 3, { afterSequence: 5n }), []);
});

test("a handler's line that is longer than a piece is one line", async (t) => {
  const api = await testApi(t);
  const { key, execution } = await running(api);
  const handler = { stream: "HANDLER" } as const;
  const full = "x".repeat(64 * 1024);
  await write(api, piece(key, 1, "a", handler), piece(key, 2, full, handler), piece(key, 3, "end", handler));
  await write(api, piece(key, 4, "b", handler));
  assert.deepEqual(sequences(await tail(api, execution.executionId, 2)), [2, 3, 4]);
  assert.deepEqual(sequences(await tail(api, execution.executionId, 3)), [1, 2, 3, 4]);
});

test("what was left out before a piece is not told of a part of it", async (t) => {
  const api = await testApi(t);
  const { key, execution } = await running(api);
  await write(api, piece(key, 1, "a\nb\n", { droppedBytes: 7 }));
  const [part] = await tail(api, execution.executionId, 1);
  assert.deepEqual([part?.content?.value, part?.droppedBytes], ["b\n", 0n]);
  const [whole] = await tail(api, execution.executionId, 2);
  assert.equal(whole?.droppedBytes, 7n);
});

test("a tail that is followed goes on with what is written after it", async (t) => {
  const api = await testApi(t);
  const { key, execution, executor } = await running(api);
  await write(api, piece(key, 1, "a\nb\n"), piece(key, 2, "late", { stream: "STDERR" }));
  const log = follow(api, { executionId: execution.executionId, tailLines: 1n, follow: true });
  await log.arrived(1);
  await write(api, piece(key, 3, "c\nd\n"), piece(key, 4, "r\n", { stream: "STDERR" }));
  executor.result(key, { kind: "succeeded", result: new Uint8Array() }, { outputPieceCount: 4 });
  await log.arrived(3);
  await log.done;
  assert.deepEqual(shown(log.pieces), ["e:late", "o:c\nd\n", "e:r\n"]);
});

test("a tail reads 16 MiB back at most: a line that began before is shown from there", async (t) => {
  const api = await testApi(t);
  const { key, execution } = await running(api);
  const data = Buffer.alloc(64 * 1024, "x");
  const pieces = Array.from({ length: 300 }, (_, index) => piece(key, index + 1, data));
  for (let from = 0; from < pieces.length; from += 50) await api.store.output.append(pieces.slice(from, from + 50));
  const found = sequences(await tail(api, execution.executionId, 1));
  assert.deepEqual([found.length, found[0], found.at(-1)], [256, 45, 300]);
});

test("200 random logs: each tail is the last lines by a plain count of all that was written", async (t) => {
  const api = await testApi(t);
  const { key, execution } = await running(api);
  const seed = Date.now() % 1_000_000;
  const draw = seededDraw(seed).below;
  const all: OutputPiece[] = [];
  for (let round = 0; round < 200; round += 1) {
    const one = randomPiece(draw, key, round + 1);
    all.push(one);
    await api.store.output.append([one]);
    const lines = 1 + draw(8);
    const wanted = plainTail(all, lines);
    const found = await tail(api, execution.executionId, lines);
    const texts = found.map(({ sequence, content }) => [Number(sequence), String(content?.value)] as const);
    assert.deepEqual(
      texts.filter(([, text]) => text !== ""),
      wanted,
      `seed ${seed}, ${round + 1} pieces, ${lines} lines`,
    );
  }
});

function randomPiece(draw: (below: number) => number, key: AttemptKey, sequence: number): OutputPiece {
  const stream = (["STDOUT", "STDERR", "HANDLER"] as const)[draw(3)] ?? "STDOUT";
  const text = Array.from({ length: 1 + draw(6) }, () => (draw(3) === 0 ? "\n" : "abcdef"[draw(6)])).join("");
  return piece(key, sequence, stream === "HANDLER" ? `line ${sequence}` : text, { stream });
}

/** The same the plain way: every byte gets the number of its line, and a line its place by its last byte. */
function plainTail(pieces: readonly OutputPiece[], lines: number): [number, string][] {
  const open = new Map<OutputStream, { last: number }>();
  const all: { last: number }[] = [];
  let at = 0;
  const bytes = pieces.flatMap(({ stream, sequence, data }) => {
    if (stream === "HANDLER") open.delete(stream);
    return [...data].map((byte) => {
      const line = open.get(stream) ?? { last: 0 };
      if (!open.has(stream)) all.push(line);
      open.set(stream, line);
      line.last = at++;
      if (byte === NEWLINE) open.delete(stream);
      return { line, sequence, byte };
    });
  });
  const kept = new Set(all.toSorted((a, b) => b.last - a.last).slice(0, lines));
  const texts = new Map<number, string>();
  for (const { line, sequence, byte } of bytes) {
    if (kept.has(line)) texts.set(sequence, (texts.get(sequence) ?? "") + String.fromCharCode(byte));
  }
  return [...texts];
}
