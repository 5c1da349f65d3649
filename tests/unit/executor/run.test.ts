import assert from "node:assert/strict";
import { test } from "node:test";
import type { ActiveSpan, Tracing } from "../../../services/common/telemetry/tracing.ts";
import { HandlerError } from "../../../services/executor/target/handler-error.ts";
import { HeldWork, setup, WAYS, type Work } from "./setup.ts";

for (const way of WAYS) {
  test(`an order is run and its result reported, by ${way}`, async (t) => {
    const rig = await setup(t, { way, work: (request) => Buffer.concat([request, Buffer.from("!")]) });
    const { key } = await rig.dispatch(rig.order({}, Buffer.from("hello")));
    const { outcome, startUs, endUs, incarnation } = rig.result(key);
    assert.ok(outcome.kind === "succeeded");
    assert.equal(Buffer.from(outcome.result).toString(), "hello!");
    assert.equal(startUs, rig.clock.wallUs());
    assert.ok(endUs >= startUs);
    assert.equal(incarnation, rig.executor.status.incarnation);
    await rig.storeProduced();
    assert.equal(rig.executor.status.keptResults, 0);
  });

  test(`orders for another executor or another incarnation are passed over, by ${way}`, async (t) => {
    const rig = await setup(t, { way });
    await rig.dispatch(rig.order({ incarnation: "another" as never }));
    await rig.dispatch(rig.order({ executorId: "another" as never }));
    assert.deepEqual(rig.results(), []);
    assert.equal(rig.homes.last.room.receivedCount, 0);
  });

  test(`a failure carries the handler's reason, wait and word that no retry helps, by ${way}`, async (t) => {
    const rig = await setup(t, {
      way,
      work: () => {
        throw new HandlerError("CARD_DECLINED", "the card was declined", { nonRetryable: true, retryDelayMs: 1_500 });
      },
    });
    const { key } = await rig.dispatch();
    const { outcome, errorOutput } = rig.result(key);
    assert.deepEqual(outcome, {
      kind: "failed",
      failure: { code: 2, message: "the card was declined", reason: "CARD_DECLINED" },
      nonRetryable: true,
      retryDelayMs: 1_500,
    });
    assert.match(errorOutput, /the card was declined\n.*at /);
  });

  test(`an error that is none of ours fails with its name, by ${way}`, async (t) => {
    const rig = await setup(t, { way, work: () => Promise.reject(new RangeError("too far")) });
    const { key } = await rig.dispatch();
    const { outcome } = rig.result(key);
    assert.ok(outcome.kind === "failed");
    assert.deepEqual(outcome.failure, { code: 2, message: "too far", reason: "RangeError" });
    assert.equal(outcome.nonRetryable, false);
  });

  test(`a target that this executor cannot run fails by name, by ${way}`, async (t) => {
    const rig = await setup(t, { way });
    const target = { kind: "http" as const, method: "", summary: "http://x", bytes: new Uint8Array() };
    const { key } = await rig.dispatch(rig.order({ target }));
    const { outcome } = rig.result(key);
    assert.ok(outcome.kind === "failed");
    assert.equal(outcome.failure.reason, "UNSUPPORTED");
    assert.equal(outcome.nonRetryable, true);
    assert.equal(rig.homes.last.room.free, 4);
  });

  test(`only an attempt that lasts is reported as started, by ${way}`, async (t) => {
    const work = new HeldWork();
    const rig = await setup(t, { way, work: work.run });
    const short = await rig.dispatch();
    await rig.clock.advance(200);
    work.finish(0);
    const long = await rig.dispatch();
    await rig.clock.advance(200);
    assert.deepEqual(rig.homes.all("started"), []);
    await rig.clock.advance(150);
    assert.deepEqual(
      rig.homes.all("started").map(({ key }) => key),
      [long.key],
    );
    work.finish(1);
    await rig.clock.settle();
    assert.equal(rig.result(short.key).outcome.kind, "succeeded");
    assert.equal(rig.result(long.key).outcome.kind, "succeeded");
  });
}

test("an answer that is too large, or is none, fails and is not tried again", async (t) => {
  const answers = [Buffer.alloc(256 * 1024 + 1), "no bytes"];
  const encode = (answer: unknown): Uint8Array => {
    if (!Buffer.isBuffer(answer)) throw new TypeError("not bytes");
    return answer;
  };
  const rig = await setup(t, { work: () => answers.shift(), handler: { encode } });
  const large = await rig.dispatch();
  const none = await rig.dispatch();
  const reasons = [large, none].map(({ key }) => {
    const { outcome } = rig.result(key);
    return outcome.kind === "failed" && [outcome.failure.reason, outcome.nonRetryable];
  });
  assert.deepEqual(reasons, [
    ["RESULT_TOO_LARGE", true],
    ["RESULT_INVALID", true],
  ]);
});

test("the run is a span under the order's, and the result carries it on", async (t) => {
  const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const own = "00-0af7651916cd43dd8448eb211c80319c-00000000000000aa-01";
  const spans: { name: string; parent: string | null; error: string | undefined }[] = [];
  const tracing: Tracing = {
    enabled: true,
    records: (traceparent) => traceparent.endsWith("-01"),
    startSpan: (name, options) => {
      const end: ActiveSpan["end"] = (result) =>
        void spans.push({ name, parent: options.parent, error: result?.error });
      return { traceparent: own, tracestate: null, recording: true, set: () => {}, end };
    },
    stop: async () => {},
  };
  const work: Work = (request, { traceparent, log }) => {
    log.info(traceparent);
    if (request.toString() === "fail") throw new Error("no");
    return request;
  };
  const rig = await setup(t, { deps: { tracing }, work });
  const good = await rig.dispatch(rig.order({ traceparent: parent }));
  await rig.dispatch(rig.order({ traceparent: parent }, Buffer.from("fail")));
  assert.deepEqual(spans, [
    { name: "jobmesh.run", parent, error: undefined },
    { name: "jobmesh.run", parent, error: "Error" },
  ]);
  assert.equal(rig.result(good.key).traceparent, own);
  const unsampled = parent.replace(/01$/, "00");
  const quiet = await rig.dispatch(rig.order({ traceparent: unsampled }));
  assert.equal(rig.result(quiet.key).traceparent, unsampled);
  assert.equal(spans.length, 2, "a trace that nobody records costs no span");
  const [piece] = rig.homes.all("output").map((message) => message.piece);
  assert.deepEqual([Buffer.from(piece?.data ?? []).toString(), piece?.spanId], [own, "00000000000000aa"]);
});

test("the context tells a handler about its attempt", async (t) => {
  const work = new HeldWork();
  const rig = await setup(t, { work: work.run });
  const order = await rig.dispatch(rig.order({ timeoutMs: 2_000, maxAttempts: 3, labels: { zone: "a" } }));
  const [context] = work.started;
  assert.ok(context !== undefined);
  assert.equal(context.executionId, order.key.executionId);
  assert.equal(context.idempotencyKey, order.key.executionId);
  assert.equal(context.attempt, 1);
  assert.equal(context.maxAttempts, 3);
  assert.equal(context.scheduledTime.getTime(), order.scheduledUs / 1000);
  assert.equal(context.deadline.getTime(), rig.clock.wallUs() / 1000 + 2_000);
  assert.deepEqual(context.labels, { zone: "a" });
  assert.equal(context.signal.aborted, false);
  context.progress(0.5, "half");
  await rig.clock.advance(100);
  assert.deepEqual(rig.homes.all("progress"), [{ kind: "progress", key: order.key, fraction: 0.5, message: "half" }]);
  work.finish(0);
});
