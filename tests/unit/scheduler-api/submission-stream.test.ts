import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type DeepPartial,
  SubmitExecutionsRequest,
  type SubmitExecutionsResponse,
} from "../../../gen/jobmesh/v1/execution_service.ts";
import { command } from "../../../services/client/targets.ts";
import type { ExecutionId } from "../../../services/common/domain/identifier.ts";
import { JobmeshError } from "../../../services/common/error/jobmesh-error.ts";
import type { SubmitOutcome } from "../../../services/common/port/store-executions.ts";
import { errorFromStatus } from "../../../services/common/rpc/status.ts";
import { silentLogger } from "../../../services/common/runtime/log.ts";
import type { SubmissionSink } from "../../../services/scheduler/api/submissions.ts";
import type { SubmissionInput } from "./calls.ts";
import { type TestApi, testApi } from "./setup.ts";

/** A stream with what it has answered. */
function openStream(api: TestApi) {
  const stream = api.executions.submitExecutions();
  const answers: SubmitExecutionsResponse[] = [];
  const readers = new Set<() => void>();
  const closed = Promise.withResolvers<JobmeshError | null>();
  stream.onMessage((answer) => {
    answers.push(answer);
    for (const reader of readers) reader();
  });
  stream.onClosed(closed.resolve);
  return {
    stream,
    answers,
    closed: closed.promise,
    send: (sequence: number, submission: SubmissionInput = {}): boolean => {
      const value = { target: command("true"), ...submission };
      return stream.send(message(sequence, { $case: "submission", value }));
    },
    sendAny: (sequence: number, kind: StreamKind): boolean => stream.send(message(sequence, kind)),
    /** Resolves when so many answers are there. */
    answered: (count: number): Promise<void> =>
      new Promise((resolve) => {
        const look = (): void => {
          if (answers.length < count) return;
          readers.delete(look);
          resolve();
        };
        readers.add(look);
        look();
      }),
  };
}

type StreamKind = DeepPartial<SubmitExecutionsRequest>["kind"];

function message(sequence: number, kind: StreamKind): SubmitExecutionsRequest {
  const request: DeepPartial<SubmitExecutionsRequest> = { sequence: BigInt(sequence), kind };
  return SubmitExecutionsRequest.fromPartial(request);
}

/** A sink that keeps submissions until it is let go. */
function heldSink() {
  const free = Promise.withResolvers<void>();
  let taken = 0;
  const sink: SubmissionSink = {
    submit: async (): Promise<SubmitOutcome> => {
      taken += 1;
      await free.promise;
      return { kind: "repeated", executionId: "e".repeat(36) as ExecutionId };
    },
  };
  return { sink, release: () => free.resolve(), taken: () => taken };
}

test("each request of a stream is answered under its sequence when it is durable, and the stream ends after the last", async (t) => {
  const api = await testApi(t);
  const { stream, send, answers, closed } = openStream(api);
  for (let sequence = 1; sequence <= 1_000; sequence += 1) send(sequence, { name: `n${sequence}` });
  stream.end();
  assert.equal(await closed, null);
  assert.deepEqual(
    answers.map(({ sequence }) => Number(sequence)).sort((a, b) => a - b),
    Array.from({ length: 1_000 }, (_, index) => index + 1),
  );
  for (const { sequence, executionId } of [answers[0], answers[999]].flatMap((answer) => answer ?? [])) {
    assert.equal((await api.get(executionId)).name, `n${sequence}`);
  }
  assert.equal(await api.storedCount(), 1_000);
});

test("an error of one request is its own answer, with its fields; the stream goes on", async (t) => {
  const api = await testApi(t);
  const { stream, send, sendAny, answers, closed } = openStream(api);
  send(1, { name: "n".repeat(256), labels: { "": "" } });
  sendAny(2, undefined);
  sendAny(3, { $case: "run", value: { jobId: "none" } });
  send(4);
  stream.end();
  assert.equal(await closed, null);
  const bySequence = new Map(answers.map((answer) => [Number(answer.sequence), answer]));
  const errors = [1, 2, 3].map((sequence) => {
    const answer = bySequence.get(sequence);
    assert.ok(answer?.error !== undefined);
    assert.equal(answer.executionId, "");
    return errorFromStatus(answer.error);
  });
  assert.deepEqual(
    errors.map(({ code }) => code),
    ["INVALID_ARGUMENT", "INVALID_ARGUMENT", "NOT_FOUND"],
  );
  assert.deepEqual(
    errors[0]?.fieldViolations.map(({ field }) => field),
    ["name", 'labels[""]'],
  );
  assert.deepEqual(
    errors[1]?.fieldViolations.map(({ field }) => field),
    ["kind"],
  );
  assert.equal(bySequence.get(4)?.error, undefined);
  assert.equal(await api.storedCount(), 1, "nothing of the refused is stored");
});

test("a stream runs jobs as RunJob does, and a request_id is one over unary calls and streams", async (t) => {
  const api = await testApi(t);
  await api.createJob({ jobId: "j" });
  const unary = await api.runJob({ jobId: "j", requestId: "run-1" });
  const submitted = await api.submit({ requestId: "submit-1", name: "a" });
  const { stream, send, sendAny, answers, closed } = openStream(api);
  sendAny(1, { $case: "run", value: { jobId: "j", requestId: "run-1" } });
  send(2, { requestId: "submit-1", name: "a" });
  send(3, { requestId: "submit-1", name: "b" });
  send(4, { requestId: "run-1" });
  stream.end();
  assert.equal(await closed, null);
  const bySequence = new Map(answers.map((answer) => [Number(answer.sequence), answer]));
  assert.equal(bySequence.get(1)?.executionId, unary.executionId);
  assert.equal(bySequence.get(2)?.executionId, submitted.executionId);
  const reused = bySequence.get(3)?.error;
  assert.ok(reused);
  assert.equal(errorFromStatus(reused).reason, "REQUEST_ID_REUSED");
  assert.equal(bySequence.get(4)?.error, undefined, "a submit and a run may have the same request_id");
  assert.equal(await api.storedCount(), 3);
});

test("the store away is the answer of each request, and the stream outlives it", async (t) => {
  const api = await testApi(t);
  const { stream, send, answers, answered, closed } = openStream(api);
  api.outage.names = [];
  send(1);
  await answered(1);
  const status = answers[0]?.error;
  assert.ok(status);
  assert.equal(errorFromStatus(status).reason, "STORE_UNAVAILABLE");
  assert.equal(errorFromStatus(status).code, "UNAVAILABLE");
  api.outage.names = null;
  send(2);
  await answered(2);
  assert.equal(answers[1]?.error, undefined);
  stream.end();
  assert.equal(await closed, null);
});

test("a request that fails for no foreseen reason is answered INTERNAL without its words, and logged", async (t) => {
  const logged: unknown[] = [];
  const log = { ...silentLogger, error: (fields: unknown) => void logged.push(fields) };
  const sink: SubmissionSink = { submit: () => Promise.reject(new TypeError("secret words")) };
  const api = await testApi(t, { sink: () => sink, log });
  const { stream, send, answers, closed } = openStream(api);
  send(1);
  stream.end();
  assert.equal(await closed, null);
  const status = answers[0]?.error;
  assert.ok(status);
  assert.equal(errorFromStatus(status).code, "INTERNAL");
  assert.doesNotMatch(status.message, /secret/);
  assert.equal(logged.length, 1);
});

test("a caller that sends more than is stored is held back at 4,096 in flight, and goes on when they are", async (t) => {
  const held = heldSink();
  const api = await testApi(t, { sink: () => held.sink });
  const { stream, send, answered, closed } = openStream(api);
  const total = 6_000;
  for (let sequence = 1; sequence <= total; sequence += 1) send(sequence);
  const before = await stillAt(held.taken);
  assert.ok(before >= 4_096 && before < 4_096 + 64, `${before} were taken`);
  held.release();
  await answered(total);
  stream.end();
  assert.equal(await closed, null);
  assert.equal(held.taken(), total);
});

test("a caller that does not read its answers is held back and not dropped", async (t) => {
  const held = heldSink();
  held.release();
  const streamLimits = { softBufferedMessages: 256, maxBufferedMessages: 5_000 };
  const api = await testApi(t, { sink: () => held.sink, server: { streamLimits } });
  const { stream, send, answered, closed } = openStream(api);
  stream.pause();
  const total = 12_000;
  const patient = { sent: 0 };
  const more = (): void => {
    while (patient.sent < total) {
      patient.sent += 1;
      if (!send(patient.sent)) return;
    }
  };
  stream.onDrain(more);
  more();
  const taken = await stillAt(held.taken);
  assert.ok(taken < total, `${taken} of ${total} were taken though no answer was read`);
  stream.resume();
  await answered(total);
  stream.end();
  assert.equal(await closed, null);
});

test("a caller that goes leaves what it sent stored, and nothing waits for it", async (t) => {
  const api = await testApi(t);
  const { stream, send, answered, closed } = openStream(api);
  for (let sequence = 1; sequence <= 10; sequence += 1) send(sequence);
  await answered(10);
  stream.fail(new JobmeshError("CANCELLED"));
  await closed;
  assert.equal(await api.storedCount(), 10);
  await api.submit();
  assert.equal(await api.storedCount(), 11, "the server goes on");
});

test("a server that stops answers what it read, then ends the stream as SHUTTING_DOWN", async (t) => {
  const held = heldSink();
  const api = await testApi(t, { sink: () => held.sink });
  const { send, answers, closed } = openStream(api);
  for (let sequence = 1; sequence <= 5; sequence += 1) send(sequence);
  await untilEqual(held.taken, 5);
  const stopped = api.server.stop(10_000);
  held.release();
  const error = await closed;
  assert.equal(error?.reason, "SHUTTING_DOWN");
  assert.equal(error?.code, "UNAVAILABLE");
  assert.equal(answers.length, 5);
  await stopped;
});

/** A number once it has stood still over many turns of the event loop. */
async function stillAt(read: () => number): Promise<number> {
  let last = -1;
  for (let turns = 0; turns < 300; turns += 1) {
    await new Promise((resolve) => setImmediate(resolve));
    if (read() !== last) turns = 0;
    last = read();
  }
  return last;
}

async function untilEqual(read: () => number, wanted: number): Promise<void> {
  while (read() !== wanted) await new Promise((resolve) => setImmediate(resolve));
}

test("rule 5: a repeated run of the stream is answered also when its job has been deleted since", async (t) => {
  const api = await testApi(t);
  await api.createJob({ jobId: "j" });
  const first = await api.runJob({ jobId: "j", requestId: "r" });
  await api.jobs.deleteJob({ namespace: "", jobId: "j", revision: 0n, cancelExecutions: false, allowMissing: false });
  const { sendAny, answered, answers, stream } = openStream(api);
  sendAny(1, { $case: "run", value: { jobId: "j", requestId: "r" } });
  sendAny(2, { $case: "run", value: { jobId: "j", requestId: "other" } });
  await answered(2);
  const bySequence = new Map(answers.map((answer) => [answer.sequence, answer]));
  assert.equal(bySequence.get(1n)?.executionId, first.executionId);
  assert.equal(bySequence.get(2n)?.executionId, "");
  stream.end();
});
