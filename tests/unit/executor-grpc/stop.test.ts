import assert from "node:assert/strict";
import { test } from "node:test";
import type { StopCause } from "../../../services/executor/running-attempt.ts";
import { failureOf, setup, startServer, textOf } from "./setup.ts";

/** Answers nothing: whoever called has to go. */
const silent = { render: () => {} };

const causes: readonly (readonly [string, StopCause, object])[] = [
  [
    "a caller's cancel",
    { kind: "stop", reason: "CANCEL", message: "not needed" },
    { kind: "cancelled", failure: { code: 1, message: "not needed", reason: "CANCEL" } },
  ],
  [
    "its timeout",
    { kind: "timeout" },
    { kind: "timed_out", failure: { code: 4, message: "ran past its timeout of 20000 ms", reason: "TIMEOUT" } },
  ],
  [
    "the scheduler's timeout",
    { kind: "stop", reason: "TIMEOUT", message: "" },
    { kind: "timed_out", failure: { code: 4, message: "ran past its timeout of 20000 ms", reason: "TIMEOUT" } },
  ],
  [
    "a reroute",
    { kind: "stop", reason: "REROUTE", message: "" },
    { kind: "returned", reason: "CUT_OFF", message: "stopped: REROUTE" },
  ],
  [
    "the executor's leave",
    { kind: "shutdown" },
    { kind: "returned", reason: "CUT_OFF", message: "the executor leaves" },
  ],
  [
    "the incarnation's end",
    { kind: "fenced" },
    { kind: "returned", reason: "CUT_OFF", message: "the executor leaves" },
  ],
];

for (const [name, cause, wanted] of causes) {
  test(`rules 21, 22, 24, 25: ${name} cancels the call at once, and the server hears of it`, {
    timeout: 20_000,
  }, async (t) => {
    const server = await startServer(t, silent);
    const { start } = setup(t);
    const called = server.next();
    const { attempt, ended } = start({ address: server.address });
    const { cancelled } = await called;
    attempt.stop(cause, 0);
    assert.deepEqual((await ended).outcome, wanted);
    await cancelled;
  });
}

test("one that was told to end before it called does not call", async (t) => {
  const server = await startServer(t);
  const { start } = setup(t);
  const { attempt, ended } = start({ address: server.address });
  attempt.stop({ kind: "shutdown" }, 0);
  assert.equal((await ended).outcome.kind, "returned");
  assert.equal(server.calls.length, 0);
});

test("rule 24: a call that runs past the attempt's timeout is TIMED_OUT, also where nobody stops it", async (t) => {
  const server = await startServer(t, silent);
  const { outcome } = setup(t);
  const late = await outcome({ address: server.address }, { timeoutMs: 200 });
  assert.ok(late.kind === "timed_out", JSON.stringify(late));
  assert.deepEqual(late.failure, { code: 4, message: "ran past its timeout of 200 ms", reason: "TIMEOUT" });
});

test("a server's own DEADLINE_EXCEEDED long before the timeout is a failure of the server", async (t) => {
  const server = await startServer(t, { render: (_call, answer) => answer({ code: 4, details: "downstream" }) });
  const { outcome } = setup(t);
  assert.equal(failureOf(await outcome({ address: server.address })).reason, "grpc:DEADLINE_EXCEEDED");
});

test("one that is stopped takes nothing from another on the same connection", async (t) => {
  const held: (() => void)[] = [];
  const server = await startServer(t, {
    render: ({ request }, answer) => void held.push(() => answer(null, { text: request.title, sum: 0n })),
  });
  const { start } = setup(t);
  const first = server.next();
  const stopped = start({ address: server.address });
  await first;
  const second = server.next();
  const other = start({ address: server.address });
  await second;
  stopped.attempt.stop({ kind: "stop", reason: "CANCEL", message: "" }, 0);
  assert.equal((await stopped.ended).outcome.kind, "cancelled");
  for (const answer of held) answer();
  assert.equal(textOf((await other.ended).outcome), "");
});
