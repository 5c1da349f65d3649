import { STATUS_CODES } from "node:http";
import type { AttemptOutcome } from "../../common/domain/attempt.ts";
import { FailureCode } from "../../common/domain/failure.ts";
import type { HttpFault, HttpFaultReason } from "./http-exchange.ts";
import { askedDelayMs, failed } from "./outcome.ts";

/** Faults that no other try mends. */
const HOPELESS: ReadonlySet<HttpFaultReason> = new Set(["TARGET_FORBIDDEN", "TARGET_INVALID"]);

/**
 * What an answer that is no success means: its reason is "http:503", which retry
 * policies compare (contract, RetryPolicy.non_retryable_reasons).
 *
 * @param why more words; empty for none.
 */
export function statusFailure(status: number, why: string, retryDelayMs: number | null): AttemptOutcome {
  const text = [`HTTP ${status}`, STATUS_CODES[status] ?? ""].join(" ").trimEnd();
  const message = why === "" ? text : `${text}: ${why}`;
  return failed(FailureCode.UNKNOWN, message, `http:${status}`, false, retryDelayMs);
}

/** What it means that no whole answer came. */
export function faultFailure(fault: HttpFault): AttemptOutcome {
  const { reason } = fault;
  const nonRetryable = HOPELESS.has(reason);
  const code = nonRetryable ? FailureCode.INVALID_ARGUMENT : FailureCode.UNAVAILABLE;
  return failed(code, fault.message, reason, nonRetryable);
}

/**
 * The wait that Retry-After asks for, in milliseconds from 0 to
 * MAX_ASKED_DELAY_MS; null when there is none that can be read. A date counts
 * from the answer's own Date, so that the server's clock is compared with itself.
 */
export function retryAfterMs(value: string | undefined, date: string | undefined, nowMs: number): number | null {
  const text = value?.trim() ?? "";
  const asked = /^\d+$/.test(text) ? Number(text) * 1000 : timeOf(text) - (timeOf(date ?? "") || nowMs);
  return Number.isNaN(asked) ? null : askedDelayMs(asked);
}

/** NaN for what is no HTTP date. JavaScript reads much more than those, bare numbers among them. */
function timeOf(text: string): number {
  return /^[A-Z][a-z]{2,8},? /.test(text) ? Date.parse(text) : Number.NaN;
}
