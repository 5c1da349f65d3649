/** What every kind of target makes of a failure: texts that any store takes, and no longer than are kept. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { faultFailure, statusFailure } from "../../../services/executor/target/http-outcome.ts";
import { failed, MAX_MESSAGE, MAX_REASON } from "../../../services/executor/target/outcome.ts";

test("rule 4: a failure's texts hold no NUL and no half of a character, whichever target failed", () => {
  const cut = "x".repeat(MAX_MESSAGE - 1);
  const outcomes = [
    failed(2, `${cut}😀`, "a\0\ud800", false),
    statusFailure(503, `a\0\ud800${cut}`, 5),
    faultFailure({ reason: "TARGET_INVALID", message: `${cut}😀` } as Parameters<typeof faultFailure>[0]),
  ];
  for (const outcome of outcomes) {
    assert.ok(outcome.kind === "failed");
    const { message, reason } = outcome.failure;
    assert.ok(message.isWellFormed() && !message.includes("\0") && message.length <= MAX_MESSAGE);
    assert.ok(reason.isWellFormed() && !reason.includes("\0"));
  }
  const [own, , fault] = outcomes;
  assert.ok(own?.kind === "failed" && fault?.kind === "failed");
  assert.equal(own.failure.message, cut, "a character that does not fit is left out whole");
  assert.equal(fault.failure.message, cut, "over HTTP as everywhere");
  assert.equal(own.failure.reason, "a\ufffd\ufffd");
});

test("a failure's message and reason end at what is kept of them", () => {
  const { failure } = failed(2, "m".repeat(MAX_MESSAGE + 1), "r".repeat(MAX_REASON + 1), false);
  assert.deepEqual([failure.message.length, failure.reason.length], [MAX_MESSAGE, MAX_REASON]);
});
