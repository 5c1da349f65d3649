import type { ExecutionPolicy } from "../../domain/policy.ts";
import { ownRetentionMs } from "../../domain/start-deadline.ts";
import { parsePolicy } from "./execution-text.ts";
import { int, intOrNull, text } from "./row-reader.ts";
import type { Row } from "./session.ts";

/**
 * When an execution that ended is deleted by its own policy's retention,
 * microseconds; null when it has none, or has not ended. What has none goes by
 * ended_us and the server's retention, so that rows of the hot path carry no
 * time of their own.
 */
export function expireUs(policy: ExecutionPolicy, succeeded: boolean, endedUs: number | null): number | null {
  const retentionMs = ownRetentionMs(policy, succeeded);
  return endedUs === null || retentionMs === null ? null : endedUs + retentionMs * 1_000;
}

/** The same for one that did not succeed, of a row with policy, claim_rank and timeout_ms. */
export function expireUsOfRow(row: Row, endedUs: number): number | null {
  const policy = text(row, "policy");
  if (policy === "") return null;
  return expireUs(parsePolicy(policy, int(row, "claim_rank"), int(row, "timeout_ms")), false, endedUs);
}

/** True when its start deadline has passed: it is left to the expirer (rule 24). */
export function isPastDeadline(row: Row, nowUs: number): boolean {
  const deadlineUs = intOrNull(row, "start_deadline_us");
  return deadlineUs !== null && deadlineUs < nowUs;
}
