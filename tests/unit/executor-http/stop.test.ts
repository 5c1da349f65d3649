/** Rules 21, 22, 24 and 25 for HTTP targets: what is told to end ends its connection at once, and says how. */
import assert from "node:assert/strict";
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { type TestContext, test } from "node:test";
import { HttpTarget, Target } from "../../../gen/jobmesh/v1/job.ts";
import { MAX_RESULT_BYTES } from "../../../services/common/domain/attempt.ts";
import type { DispatchOrder } from "../../../services/common/domain/dispatch.ts";
import type { OutputWrite, StopCause } from "../../../services/executor/running-attempt.ts";
import { AddressGuard } from "../../../services/executor/target/address-guard.ts";
import { HttpRunner } from "../../../services/executor/target/http-runner.ts";
import { type Rig, setup as setupRig, WAYS, type Way } from "../executor/setup.ts";
import { rawServer, resultOf, start, targetServer } from "./setup.ts";

/** A server that answers nothing; `asked` resolves with the response that it would give. */
async function silentServer(t: TestContext) {
  const asked = Promise.withResolvers<ServerResponse>();
  const server = await targetServer(t, (_got, response) => asked.resolve(response));
  return { url: server.url, asked: asked.promise };
}

/** A cause, and what the attempt says then: its kind, and its reason. */
const causes: readonly (readonly [StopCause, string, string])[] = [
  [{ kind: "timeout" }, "timed_out", "TIMEOUT"],
  [{ kind: "stop", reason: "TIMEOUT", message: "" }, "timed_out", "TIMEOUT"],
  [{ kind: "stop", reason: "CANCEL", message: "enough" }, "cancelled", "CANCEL"],
  [{ kind: "stop", reason: "REROUTE", message: "" }, "returned", "CUT_OFF"],
  [{ kind: "stop", reason: "PAUSED", message: "" }, "returned", "CUT_OFF"],
  [{ kind: "shutdown" }, "returned", "CUT_OFF"],
  [{ kind: "fenced" }, "returned", "CUT_OFF"],
];

for (const [cause, kind, reason] of causes) {
  const name = cause.kind === "stop" ? cause.reason : cause.kind;
  test(`rules 21, 24, 25: ${name} ends the connection at once, and the attempt is ${kind}`, async (t) => {
    const { url, asked } = await silentServer(t);
    const { attempt, ending } = start({ url });
    const closed = once(await asked, "close");
    attempt.stop(cause, 0);
    const { outcome } = await ending;
    await closed;
    assert.equal(outcome.kind, kind);
    assert.equal("failure" in outcome ? outcome.failure.reason : "reason" in outcome && outcome.reason, reason);
  });
}

test("an attempt ends wherever it stands: before its connection, in TLS, within the content", async (t) => {
  const mute = await rawServer(t, () => {});
  const atOnce = start({ url: mute });
  atOnce.attempt.stop({ kind: "timeout" }, 0);
  assert.equal((await atOnce.ending).outcome.kind, "timed_out");

  const greeted = Promise.withResolvers<void>();
  const handshake = await rawServer(t, (socket) => socket.once("data", () => greeted.resolve()));
  const securing = start({ url: handshake.replace("http:", "https:") });
  await greeted.promise;
  securing.attempt.stop({ kind: "timeout" }, 0);
  assert.equal((await securing.ending).outcome.kind, "timed_out");

  const server = await targetServer(t, (_got, response) => void response.write("half"));
  const begun = Promise.withResolvers<void>();
  const reading = start({ url: server.url }, { onWrite: () => begun.resolve() });
  await begun.promise;
  reading.attempt.stop({ kind: "stop", reason: "CANCEL", message: "enough" }, 0);
  const ended = await reading.ending;
  assert.equal(ended.outcome.kind, "cancelled");
  assert.equal(ended.output, "half", "what came is kept");
});

test("rule 25: an answer that had come when the stop did is what happened, but for a timeout", async (t) => {
  const server = await targetServer(t, ({ path }, response) => {
    response.statusCode = Number(path.slice(1));
    response.end(Buffer.alloc(MAX_RESULT_BYTES + 1));
  });
  for (const [status, cause, kind] of [
    [200, { kind: "stop", reason: "CANCEL", message: "" }, "succeeded"],
    [503, { kind: "stop", reason: "CANCEL", message: "" }, "failed"],
    [200, { kind: "stop", reason: "TIMEOUT", message: "" }, "timed_out"],
    [200, { kind: "timeout" }, "timed_out"],
  ] as const) {
    // The line about the cut is written when the answer is there and before it is told.
    const onWrite = ({ stream }: OutputWrite): void => {
      if (stream === "STDERR") running.attempt.stop(cause, 0);
    };
    const running = start({ url: `${server.url}/${status}` }, { onWrite });
    assert.equal((await running.ending).outcome.kind, kind);
  }
});

test("an attempt that is told to end between two redirects asks no further", async (t) => {
  const server = await targetServer(t, (_got, response) => response.writeHead(307, { Location: "/next" }).end());
  const onWrite = (): void => running.attempt.stop({ kind: "stop", reason: "CANCEL", message: "" }, 0);
  const running = start({ url: server.url }, { onWrite });
  assert.equal((await running.ending).outcome.kind, "cancelled");
  assert.equal(server.got.length, 1);
});

/** An executor of HTTP requests with a scripted home, on a clock that the test moves. */
async function executor(t: TestContext, way: Way): Promise<Rig> {
  const guard = new AddressGuard({ allowMetadataAddresses: false });
  return setupRig(t, { way, moreRunners: (clock) => [new HttpRunner({ clock, guard }, { version: "1" })] });
}

function orderOf(rig: Rig, url: string, parts: Partial<DispatchOrder> = {}): DispatchOrder {
  const bytes = Target.encode({ kind: { $case: "http", value: HttpTarget.fromPartial({ url }) } }).finish();
  return rig.order({ target: { kind: "http", method: "", summary: url, bytes }, ...parts });
}

/** Resolves when the executor has reported the result; sockets need turns of the loop that no clock gives. */
async function reported(rig: Rig): Promise<void> {
  while (rig.results().length === 0) {
    await new Promise((turn) => setImmediate(turn));
    await rig.clock.settle();
  }
}

for (const way of WAYS) {
  test(`an HTTP target is run and its result reported, by ${way}`, async (t) => {
    const server = await targetServer(t, ({ headers }, response) => response.end(headers["idempotency-key"]));
    const rig = await executor(t, way);
    const { key } = await rig.dispatch(orderOf(rig, server.url));
    await reported(rig);
    const result = rig.result(key);
    assert.equal(resultOf(result).toString(), key.executionId);
    assert.equal(result.output, key.executionId);
    assert.equal(result.outputPieceCount, 1);
  });

  test(`rule 24: an HTTP target past its timeout is TIMED_OUT and its slot is free, by ${way}`, async (t) => {
    const { url, asked } = await silentServer(t);
    const rig = await executor(t, way);
    const { key } = await rig.dispatch(orderOf(rig, url, { timeoutMs: 2_000 }));
    const closed = once(await asked, "close");
    await rig.clock.advance(1_999);
    assert.deepEqual(rig.results(), []);
    await rig.clock.advance(1);
    await closed;
    await reported(rig);
    const { outcome } = rig.result(key);
    assert.equal(outcome.kind, "timed_out");
    await rig.clock.advance(1_000);
    assert.equal(rig.homes.last.room.free, 4);
  });

  test(`rule 25: a cancelled HTTP target is CANCELLED when its connection is gone, by ${way}`, async (t) => {
    const { url, asked } = await silentServer(t);
    const rig = await executor(t, way);
    const { key } = await rig.dispatch(orderOf(rig, url));
    const closed = once(await asked, "close");
    rig.homes.last.stop(key);
    await closed;
    await reported(rig);
    assert.equal(rig.result(key).outcome.kind, "cancelled");
  });
}

test("rule 21: an executor that leaves hands its HTTP requests back, not counted", async (t) => {
  const { url, asked } = await silentServer(t);
  const rig = await executor(t, "session");
  const { key } = await rig.dispatch(orderOf(rig, url));
  await asked;
  const stopped = rig.executor.stop(0);
  await reported(rig);
  await rig.clock.advance(1_000);
  await stopped;
  const { outcome } = rig.result(key);
  assert.deepEqual([outcome.kind, "reason" in outcome && outcome.reason], ["returned", "CUT_OFF"]);
});
