/** What every kind of target makes of an end: how it was told to end, that it failed, what a server may ask for. */
import type { AttemptOutcome } from "../../common/domain/attempt.ts";
import { type Failure, FailureCode } from "../../common/domain/failure.ts";
import type { RunningAttempt } from "../running-attempt.ts";

type FailedOutcome = Extract<AttemptOutcome, { kind: "failed" }>;

/** At most this many characters of a failure's message. */
export const MAX_MESSAGE = 4_096;
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
    const message = cause.message === "" ? "stopped on request" : clip(cause.message);
    return { kind: "cancelled", failure: { code: FailureCode.CANCELLED, message, reason: "CANCEL" } };
  }
  const message = cause?.kind === "stop" ? `stopped: ${cause.reason}` : "the executor leaves";
  return { kind: "returned", reason: "CUT_OFF", message };
}

/** True when an answer that comes now is none: past its timeout, or cut off. One that was stopped otherwise has been in time. */
export function isTooLate({ cause }: RunningAttempt): boolean {
  return cause !== null && (cause.kind !== "stop" || cause.reason === "TIMEOUT");
}

/** A failed attempt, with texts that any store takes. */
export function failed(code: number, message: string, reason: string, nonRetryable: boolean): FailedOutcome {
  const failure: Failure = { code, message: clip(message), reason };
  return { kind: "failed", failure, nonRetryable, retryDelayMs: null };
}

/** An attempt without a secret that it names: nothing was started or sent. Another try, or another executor, may have it. */
export function noSecret(message: string): FailedOutcome {
  return failed(FailureCode.FAILED_PRECONDITION, message, "SECRET_UNAVAILABLE", false);
}

/** The wait that a server asks for, within what it may. */
export function askedDelayMs(delayMs: number): number {
  return Math.min(Math.max(delayMs, 0), MAX_ASKED_DELAY_MS);
}

/** Text that any store takes (rule 4): no NUL, no half of a character. */
export function clip(text: string): string {
  return text.slice(0, MAX_MESSAGE).toWellFormed().replaceAll("\0", "\uFFFD");
}
