import assert from "node:assert/strict";
import { test } from "node:test";
import { CommandTarget } from "../../../gen/jobmesh/v1/job.ts";
import type { CommandOutcome, CommandResult } from "../../../services/executor/spawner/command-spec.ts";
import { type CommandReport, commandReport, runCommand } from "../../../services/executor/target/command.ts";
import { setup } from "./setup.ts";

const attempt = {
  key: { executionId: "0190-a", attempt: 1 },
  maxAttempts: 3,
  namespace: "default",
  jobId: "",
  scheduledUs: 0,
  labels: {},
  traceparent: "",
};

function report(outcome: CommandOutcome, over: Partial<CommandResult> = {}): CommandReport {
  const seen = {
    exitCode: undefined,
    processId: 7,
    startUs: 1,
    endUs: 2,
    stdoutTail: "",
    stderrTail: "",
    droppedBytes: 0,
  };
  return commandReport({ outcome, ...seen, ...over });
}

test("exit code 0 is success, any other a failure that names it", () => {
  assert.deepEqual(report({ kind: "exited", exitCode: 0 }, { exitCode: 0 }).outcome, {
    kind: "succeeded",
    result: new Uint8Array(),
  });
  const failed = report({ kind: "exited", exitCode: 3 }, { exitCode: 3 });
  assert.deepEqual(failed.outcome, {
    kind: "failed",
    failure: { code: 2, message: "exit code 3", reason: "exit:3" },
    nonRetryable: false,
    retryDelayMs: null,
  });
  assert.equal(failed.exitCode, 3);
  assert.equal(failed.errorOutput, "exit code 3");
  assert.equal(report({ kind: "exited", exitCode: 3 }, { stderrTail: "why\n" }).errorOutput, "why\n");
});

test("a signal is a failure that names it as retry policies do", () => {
  const { outcome, exitCode } = report({ kind: "signaled", signal: "SIGKILL" });
  assert.equal(outcome.kind === "failed" && outcome.failure.reason, "signal:KILL");
  assert.equal(exitCode, null);
});

test("rule 21: what was cut off comes back as CUT_OFF, or as NOT_STARTED when no process came to be", () => {
  const cutOff = { kind: "cut_off", message: "the executor was silent for 4000 ms" } as const;
  assert.deepEqual(report(cutOff).outcome, { kind: "returned", reason: "CUT_OFF", message: cutOff.message });
  const early = report(cutOff, { processId: undefined });
  assert.deepEqual(early.outcome, { kind: "returned", reason: "NOT_STARTED", message: cutOff.message });
  assert.equal(early.startUs, null);
  const unknown = report({ ...cutOff, mayHaveRun: true }, { processId: undefined });
  assert.deepEqual(unknown.outcome, { kind: "returned", reason: "CUT_OFF", message: cutOff.message });
});

test("rule 25: a stop cancels, but a reroute, a shutdown and a fence bring the attempt back", () => {
  for (const reason of ["CANCEL", "PAUSED", "SUPERSEDED", "TIMEOUT"]) {
    const { outcome } = report({ kind: "stopped", reason });
    assert.equal(outcome.kind === "cancelled" && outcome.failure.reason, reason);
  }
  for (const reason of ["REROUTE", "SHUTDOWN", "FENCED"]) {
    assert.deepEqual(report({ kind: "stopped", reason }).outcome, {
      kind: "returned",
      reason: "CUT_OFF",
      message: reason,
    });
  }
  const early = report({ kind: "stopped", reason: "CANCEL" }, { processId: undefined }).outcome;
  assert.equal(early.kind === "returned" && early.reason, "NOT_STARTED");
});

test("a machine without room brings the attempt back, a command that cannot start fails it", () => {
  const full = report({ kind: "spawn_failed", code: "EAGAIN", message: "no room" }, { processId: undefined }).outcome;
  assert.equal(full.kind === "returned" && full.reason, "NOT_STARTED");
  const missing = report({ kind: "spawn_failed", code: "ENOENT", message: "not found" }, { processId: undefined });
  assert.equal(missing.outcome.kind === "failed" && missing.outcome.failure.reason, "spawn:ENOENT");
  assert.equal(missing.outcome.kind === "failed" && missing.outcome.nonRetryable, false);
  assert.equal(missing.errorOutput, "not found");
  const tooLong = report(
    { kind: "spawn_failed", code: "E2BIG", message: "too long" },
    { processId: undefined },
  ).outcome;
  assert.equal(tooLong.kind === "failed" && tooLong.nonRetryable, true);
});

test("a command target runs with its input, its environment and its attempt's", async (t) => {
  const { spawner } = await setup(t);
  const config = { environment: { PATH: process.env.PATH ?? "/bin" }, killGraceMs: 1_000, maxOutputBytes: 1_000 };
  const chunks: Buffer[] = [];
  const started: number[] = [];
  const target = CommandTarget.fromPartial({
    command: 'read line; echo "$line $GREETING $JOBMESH_ATTEMPT/$JOBMESH_MAX_ATTEMPTS"; echo oops >&2; exit 9',
    env: { GREETING: "hi" },
    input: { $case: "stdinText", value: "größe\n" },
  });
  const result = await runCommand(spawner, config, {
    attempt,
    target,
    timeoutMs: 10_000,
    signal: new AbortController().signal,
    onOutput: (stream, data) => void (stream === "stdout" && chunks.push(data)),
    onStart: (startUs) => started.push(startUs),
  });
  assert.equal(result.output, "größe hi 1/3\n");
  assert.equal(Buffer.concat(chunks).toString(), result.output);
  assert.equal(result.errorOutput, "oops\n");
  assert.equal(result.exitCode, 9);
  assert.deepEqual(started, [result.startUs]);
});
