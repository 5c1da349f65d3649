import assert from "node:assert/strict";
import { test } from "node:test";
import { commandSpec, setup } from "./setup.ts";

const FIFTY_MB = 50_000_000;

test("output comes exactly as it was written, both streams, in pieces of at most 64 KiB", async (t) => {
  const { spawner } = await setup(t);
  const pieces = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  const command = spawner.run(commandSpec("seq 1 200000; seq 1 100000 >&2"), {
    onOutput: (stream, data, droppedBytes) => {
      assert.equal(droppedBytes, 0);
      assert.ok(data.length > 0 && data.length <= 64 * 1024);
      pieces[stream].push(data);
    },
  });
  const result = await command.result;
  assert.equal(result.droppedBytes, 0);
  assert.ok(Buffer.concat(pieces.stdout).equals(numbers(200_000)));
  assert.ok(Buffer.concat(pieces.stderr).equals(numbers(100_000)));
  assert.equal(
    result.stdoutTail,
    numbers(200_000)
      .subarray(-16 * 1024)
      .toString(),
  );
  assert.equal(Buffer.byteLength(result.stderrTail), 16 * 1024);
});

test("output beyond its limit is read, dropped and counted, and the tail is still its end", async (t) => {
  const { run } = await setup(t);
  const result = await run(`head -c ${FIFTY_MB} /dev/zero; echo; echo end`, { maxOutputBytes: 100_000 });
  assert.equal(result.outcome.kind, "exited");
  assert.equal(result.stdout.length, 100_000);
  assert.equal(result.droppedBytes, FIFTY_MB + 5 - 100_000);
  assert.ok(result.stdoutTail.endsWith("\uFFFD\nend\n"));
});

test("a consumer that never takes a piece delays neither the command nor, for long, its result", async (t) => {
  const { spawner } = await setup(t, { maxPendingOutputBytes: 256 * 1024, outputFlushMs: 50 });
  let taken = 0;
  const never = Promise.withResolvers<void>();
  const command = spawner.run(commandSpec(`head -c ${FIFTY_MB} /dev/zero`, { maxOutputBytes: FIFTY_MB }), {
    onOutput: (_stream, data) => {
      taken += data.length;
      return never.promise;
    },
  });
  const result = await command.result;
  assert.deepEqual(result.outcome, { kind: "exited", exitCode: 0 });
  assert.ok(taken <= 64 * 1024);
  assert.equal(taken + result.droppedBytes, FIFTY_MB);
});

test("a slow consumer gets every piece that fits, in order, before the result", async (t) => {
  const { spawner } = await setup(t);
  const pieces: Buffer[] = [];
  const command = spawner.run(commandSpec("for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.01; done"), {
    onOutput: async (_stream, data) => {
      await new Promise((resolve) => setImmediate(resolve));
      pieces.push(data);
    },
  });
  const result = await command.result;
  assert.equal(Buffer.concat(pieces).toString(), "1\n2\n3\n4\n5\n6\n7\n8\n");
  assert.equal(result.droppedBytes, 0);
});

test("what was dropped is said with the next piece of its stream, and all of it is counted once", async (t) => {
  const { spawner } = await setup(t, { maxPendingOutputBytes: 64 * 1024 });
  let taken = 0;
  let said = 0;
  const first = Promise.withResolvers<void>();
  const script = `head -c 1000000 /dev/zero; echo full >&2; read line; echo tail`;
  const command = spawner.run(commandSpec(script), {
    onOutput: (stream, data, droppedBytes) => {
      said += droppedBytes;
      taken += data.length;
      return stream === "stdout" && taken === data.length ? first.promise : undefined;
    },
  });
  setImmediate(first.resolve);
  const result = await command.result;
  assert.equal(taken + result.droppedBytes, 1_000_000 + 5 + 5);
  assert.ok(said <= result.droppedBytes);
});

test("bytes that are no text arrive as they are, and the tail shows them as U+FFFD", async (t) => {
  const { run } = await setup(t);
  const result = await run("printf 'a\\000\\377\\355\\240\\200b'");
  assert.deepEqual([...result.stdout], [0x61, 0x00, 0xff, 0xed, 0xa0, 0x80, 0x62]);
  assert.equal(result.stdoutTail, "a\uFFFD\uFFFD\uFFFD\uFFFD\uFFFDb");
});

function numbers(count: number): Buffer {
  return Buffer.from(Array.from({ length: count }, (_, index) => `${index + 1}\n`).join(""));
}
