import assert from "node:assert/strict";
import { test } from "node:test";
import { type DeepPartial, LogLevel, LogStream, ReadLogsRequest } from "../../../gen/jobmesh/v1/execution_service.ts";
import { advanceTurning, follow, piece, running, sequences, turns, write } from "./log-follow.ts";
import { errorOf, faultsOf, testApi } from "./setup.ts";

test("a log that is not followed is what is there", async (t) => {
  const api = await testApi(t);
  const { key, execution } = await running(api);
  await write(api, piece(key, 1, "a"), piece(key, 2, "b"));
  const log = follow(api, { executionId: execution.executionId });
  await log.done;
  assert.deepEqual(sequences(log.pieces), [1, 2]);
  assert.deepEqual(log.pieces[0], {
    attempt: 1,
    stream: LogStream.LOG_STREAM_STDOUT,
    content: { $case: "text", value: "a" },
    time: { seconds: 1n, nanos: 0 },
    droppedBytes: 0n,
    sequence: 1n,
    level: LogLevel.LOG_LEVEL_UNSPECIFIED,
    fieldsJson: "",
    spanId: "",
  });
});

test("text is text where it is UTF-8, U+FFFD and NUL included, and bytes where it is not", async (t) => {
  const api = await testApi(t);
  const { key, execution } = await running(api);
  const broken = Uint8Array.of(0x61, 0xff, 0xe2, 0x82);
  await write(api, piece(key, 1, "é€😀\ufffd\0"), piece(key, 2, broken), piece(key, 3, ""));
  const log = follow(api, { executionId: execution.executionId });
  await log.done;
  assert.deepEqual(
    log.pieces.map(({ content }) => content),
    [
      { $case: "text", value: "é€😀\ufffd\0" },
      { $case: "data", value: Buffer.from(broken) },
      { $case: "text", value: "" },
    ],
  );
});

test("pieces carry what a handler logged with them, and what was left out before them", async (t) => {
  const api = await testApi(t);
  const { key, execution } = await running(api);
  const changes = {
    stream: "HANDLER",
    level: "WARN",
    fieldsJson: '{"a":1}',
    spanId: "0123456789abcdef",
    droppedBytes: 7,
  } as const;
  await write(api, piece(key, 1, "line", changes));
  const log = follow(api, { executionId: execution.executionId });
  await log.done;
  const [one] = log.pieces;
  assert.deepEqual(
    [one?.stream, one?.level, one?.fieldsJson, one?.spanId, one?.droppedBytes],
    [LogStream.LOG_STREAM_HANDLER, LogLevel.LOG_LEVEL_WARN, '{"a":1}', "0123456789abcdef", 7n],
  );
});

test("only what comes after a piece, and only the outputs that are asked for", async (t) => {
  const api = await testApi(t);
  const { key, execution } = await running(api);
  await write(api, piece(key, 1, "a"), piece(key, 2, "b", { stream: "STDERR" }), piece(key, 3, "c"));
  const read = async (request: DeepPartial<ReadLogsRequest>) => {
    const log = follow(api, { executionId: execution.executionId, ...request });
    await log.done;
    return sequences(log.pieces);
  };
  assert.deepEqual(await read({ afterSequence: 1n }), [2, 3]);
  assert.deepEqual(await read({ afterSequence: 3n }), []);
  assert.deepEqual(await read({ afterSequence: 18_446_744_073_709_551_615n }), []);
  assert.deepEqual(await read({ streams: [LogStream.LOG_STREAM_STDERR] }), [2]);
  assert.deepEqual(await read({ streams: [LogStream.LOG_STREAM_STDOUT, LogStream.LOG_STREAM_STDERR] }), [1, 2, 3]);
});

test("a log that is followed goes on while its attempt runs, and ends when it is whole", async (t) => {
  const api = await testApi(t);
  const { key, execution, executor } = await running(api);
  const log = follow(api, { executionId: execution.executionId, follow: true });
  await write(api, piece(key, 1, "a"));
  await log.arrived(1);
  await write(api, piece(key, 2, "b"));
  await log.arrived(2);
  executor.result(key, { kind: "succeeded", result: new Uint8Array() }, { outputPieceCount: 3 });
  await turns(api);
  await write(api, piece(key, 3, "c"));
  await log.done;
  assert.deepEqual(sequences(log.pieces), [1, 2, 3]);
});

test("output of which no hint tells is found within 250 ms", async (t) => {
  const api = await testApi(t);
  const { key, execution } = await running(api);
  const log = follow(api, { executionId: execution.executionId, follow: true });
  await write(api, piece(key, 1, "a"));
  await log.arrived(1);
  await turns(api);
  await api.store.output.append([piece(key, 2, "b")]);
  await api.clock.advance(250);
  await log.arrived(2);
  log.leave();
  await assert.rejects(log.done);
  await turns(api);
});

test("rule 35: pieces that never arrive are said after 5 s, as DATA_LOSS, followed or not", async (t) => {
  const api = await testApi(t);
  const { key, execution, executor } = await running(api);
  await write(api, piece(key, 1, "a"));
  executor.result(key, { kind: "succeeded", result: new Uint8Array() }, { outputPieceCount: 4 });
  await turns(api);
  for (const isFollowed of [true, false]) {
    const log = follow(api, { executionId: execution.executionId, follow: isFollowed });
    await log.arrived(1);
    await turns(api);
    let over = false;
    log.done
      .catch(() => undefined)
      .finally(() => {
        over = true;
      });
    await advanceTurning(api, 4_750);
    assert.equal(over, false, "they may still be on their way");
    await advanceTurning(api, 750);
    const error = await errorOf(log.done);
    assert.deepEqual(
      [error.code, error.reason, error.message],
      ["DATA_LOSS", "LOG_INCOMPLETE", "3 of 4 pieces never arrived"],
    );
  }
});

test("an execution that waits can be followed: its log begins with its first attempt", async (t) => {
  const api = await testApi(t);
  const execution = await api.submit();
  const log = follow(api, { executionId: execution.executionId, follow: true });
  const notYet = follow(api, { executionId: execution.executionId });
  await notYet.done;
  const executor = await api.join("e", 1);
  await api.dispatcher.runOnce(new AbortController().signal);
  await api.clock.settle();
  const key = executor.orders[0]?.key ?? assert.fail("it was dispatched");
  await write(api, piece(key, 1, "a"));
  await log.arrived(1);
  executor.result(key, { kind: "succeeded", result: new Uint8Array() }, { outputPieceCount: 1 });
  await turns(api);
  await api.clock.advance(250);
  await log.done;
});

test("an execution that ends without an attempt ends its log", async (t) => {
  const api = await testApi(t);
  const { executionId } = await api.submit();
  const log = follow(api, { executionId, follow: true });
  await turns(api);
  await api.executions.cancelExecution({ executionId, reason: "" });
  await turns(api);
  await api.clock.advance(250);
  await log.done;
  assert.deepEqual(log.pieces, []);
});

test("an attempt that there is not is NOT_FOUND; what is at fault is INVALID_ARGUMENT by its field", async (t) => {
  const api = await testApi(t);
  const { execution } = await running(api);
  const { executionId } = execution;
  const missing = await errorOf(follow(api, { executionId, attempt: 2 }).done);
  assert.deepEqual([missing.code, missing.reason], ["NOT_FOUND", "ATTEMPT_NOT_FOUND"]);
  await follow(api, { executionId, attempt: 1 }).done;
  const faults = await faultsOf(
    follow(api, { executionId: "x", attempt: -1, streams: [LogStream.LOG_STREAM_UNSPECIFIED, 9 as LogStream] }).done,
  );
  assert.deepEqual(Object.keys(faults).sort(), ["attempt", "execution_id", "streams[0]", "streams[1]"]);
  for (const tailLines of [-1n, 100_001n]) {
    const tail = await faultsOf(follow(api, { executionId, tailLines }).done);
    assert.match(tail.tail_lines ?? "", /from 0 to 100000/);
  }
  await follow(api, { executionId, tailLines: 100_000n }).done;
});

test("a reader that goes, and a server that stops, end a log; the second says so", async (t) => {
  const api = await testApi(t);
  const { key, execution } = await running(api);
  await write(api, piece(key, 1, "a"));
  const left = follow(api, { executionId: execution.executionId, follow: true });
  const stays = follow(api, { executionId: execution.executionId, follow: true });
  await Promise.all([left.arrived(1), stays.arrived(1)]);
  left.leave();
  assert.equal((await errorOf(left.done)).code, "CANCELLED");
  const stopped = api.server.stop(10_000);
  const error = await errorOf(stays.done);
  assert.deepEqual([error.code, error.reason], ["UNAVAILABLE", "SHUTTING_DOWN"]);
  await stopped;
});

test("a large log is sent whole to a slow reader", async (t) => {
  const api = await testApi(t, { server: { streamLimits: { softBufferedMessages: 16, maxBufferedMessages: 64 } } });
  const { key, execution } = await running(api);
  const data = Buffer.alloc(16 * 1024, "x");
  await write(api, ...Array.from({ length: 300 }, (_, index) => piece(key, index + 1, data)));
  const seen: bigint[] = [];
  const request = ReadLogsRequest.fromPartial({ executionId: execution.executionId });
  for await (const { sequence } of api.executions.readLogs(request)) {
    seen.push(sequence);
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.deepEqual(
    seen.map(Number),
    Array.from({ length: 300 }, (_, index) => index + 1),
  );
});

test("logs are read up to a number at once; one more is RESOURCE_EXHAUSTED, and room comes back", async (t) => {
  const api = await testApi(t, { maxLogReaders: 2 });
  const { key, execution } = await running(api);
  await write(api, piece(key, 1, "a"));
  const request = { executionId: execution.executionId, follow: true };
  const [first, second] = [follow(api, request), follow(api, request)];
  await Promise.all([first.arrived(1), second.arrived(1)]);
  const error = await errorOf(follow(api, request).done);
  assert.deepEqual([error.code, error.reason, error.retryDelayMs], ["RESOURCE_EXHAUSTED", "OVERLOADED", 1_000]);
  first.leave();
  await assert.rejects(first.done);
  await turns(api);
  await follow(api, { ...request, follow: false }).done;
  second.leave();
  await assert.rejects(second.done);
  await turns(api);
});
