/** What every kind of target makes of an end: how it was told to end, that it failed, what a server may ask for. */
import type { AttemptOutcome } from "../../common/domain/attempt.ts";
import { FailureCode } from "../../common/domain/failure.ts";
import { storableText } from "../../common/domain/storable-text.ts";
import type { RunningAttempt } from "../running-attempt.ts";

type FailedOutcome = Extract<AttemptOutcome, { kind: "failed" }>;

/** At most this many characters of a failure's message. */
export const MAX_MESSAGE = 4_096;
/** At most this many characters of its reason: what the store keeps of one. */
export const MAX_REASON = 255;
/** Longest wait before the next attempt that a server may ask for, milliseconds. */
export const MAX_ASKED_DELAY_MS = 24 * 3_600_000;

/** How an attempt ended that was told to end, and did. */
export function stoppedOutcome(attempt: RunningAttempt): AttemptOutcome {
  const { cause, order } = attempt;
  const timedOut = cause?.kind === "timeout" || (cause?.kind === "stop" && cause.reason === "TIMEOUT");
  if (timedOut) {
    const message = `ran past its timeout of ${order.timeoutMs} ms`;
    return { kind: "timed_out", failure: { code: FailureCode.DEADLINE_EXCEEDED, message, reason: "TIMEOUT" } };
  }
  if (cause?.kind === "stop" && cause.reason === "CANCEL") {
    const message = cause.message === "" ? "stopped on request" : storableText(cause.message, MAX_MESSAGE);
    return { kind: "cancelled", failure: { code: FailureCode.CANCELLED, message, reason: "CANCEL" } };
  }
  const message = cause?.kind === "stop" ? `stopped: ${cause.reason}` : "the executor leaves";
  return { kind: "returned", reason: "CUT_OFF", message };
}

/** True when an answer that comes now is none: past its timeout, or cut off. One that was stopped otherwise has been in time. */
export function isTooLate({ cause }: RunningAttempt): boolean {
  return cause !== null && (cause.kind !== "stop" || cause.reason === "TIMEOUT");
}

/** A failed attempt, with texts that any store takes (rule 4). `retryDelayMs` null leaves the wait to the policy. */
export function failed(
  code: number,
  message: string,
  reason: string,
  nonRetryable: boolean,
  retryDelayMs: number | null = null,
): FailedOutcome {
  const failure = { code, message: storableText(message, MAX_MESSAGE), reason: storableText(reason, MAX_REASON) };
  return { kind: "failed", failure, nonRetryable, retryDelayMs };
}

/** An attempt without a secret that it names: nothing was started or sent. Another try, or another executor, may have it. */
export function noSecret(message: string): FailedOutcome {
  return failed(FailureCode.FAILED_PRECONDITION, message, "SECRET_UNAVAILABLE", false);
}

/** The wait that a server asks for, within what it may. */
export function askedDelayMs(delayMs: number): number {
  return Math.min(Math.max(delayMs, 0), MAX_ASKED_DELAY_MS);
}
