import { type AttemptProgress, MAX_PROGRESS_MESSAGE_CHARS } from "../../domain/attempt.ts";
import type { Execution } from "../../domain/execution.ts";
import type { Failure } from "../../domain/failure.ts";
import { mergedParameters, type Parameters } from "../../domain/parameter.ts";
import { claimRank, defaultPolicy, type ExecutionPolicy } from "../../domain/policy.ts";
import { storableText } from "../../domain/storable-text.ts";

/**
 * The JSON columns of an execution. What is as by default is stored as "", so
 * that the rows of the hot path carry no JSON and nothing is parsed.
 */

/** At most this many characters of a failure's message are kept; JSON's escapes then still fit a TEXT column. */
const MAX_FAILURE_MESSAGE_CHARS = 8_192;
const MAX_FAILURE_REASON_CHARS = 255;

const NO_LABELS: Readonly<Record<string, string>> = Object.freeze({});

/** Fields of a policy that have columns of their own: priority as claim_rank, timeoutMs as timeout_ms. */
type PolicyText = Partial<Omit<ExecutionPolicy, "priority" | "timeoutMs" | "retry">> & {
  readonly retry?: Partial<ExecutionPolicy["retry"]>;
};

/** Fields that differ from the default policy, as JSON; "" when none does. Priority and timeout have columns. */
export function policyText(policy: ExecutionPolicy): string {
  if (policy === defaultPolicy) return "";
  const { priority: _priority, timeoutMs: _timeoutMs, retry, ...rest } = policy;
  const differing = difference(rest, defaultPolicy);
  const differingRetry = difference(retry, defaultPolicy.retry);
  const text: PolicyText = Object.keys(differingRetry).length > 0 ? { ...differing, retry: differingRetry } : differing;
  return Object.keys(text).length === 0 ? "" : JSON.stringify(text);
}

/** The policy that the columns policy, claim_rank and timeout_ms stand for. */
export function parsePolicy(text: string, rank: number, timeoutMs: number): ExecutionPolicy {
  if (text === "" && rank === DEFAULT_RANK && timeoutMs === defaultPolicy.timeoutMs) return defaultPolicy;
  const columns = { priority: DEFAULT_RANK - rank + defaultPolicy.priority, timeoutMs };
  if (text === "") return { ...defaultPolicy, ...columns };
  const differing = JSON.parse(text) as PolicyText;
  return { ...defaultPolicy, ...differing, ...columns, retry: { ...defaultPolicy.retry, ...differing.retry } };
}

const DEFAULT_RANK = claimRank(defaultPolicy.priority);

/** Labels as JSON in the order of their keys; "" when there are none. */
export function labelsText(labels: Readonly<Record<string, string>>): string {
  const entries = Object.entries(labels);
  if (entries.length === 0) return "";
  return JSON.stringify(Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1))));
}

/** Labels that the column stands for. */
export function parseLabels(text: string): Readonly<Record<string, string>> {
  return text === "" ? NO_LABELS : (JSON.parse(text) as Record<string, string>);
}

/** Parameters as JSON in the order of their names; null when there are none. */
export function parametersText(parameters: Parameters | undefined): string | null {
  return parameters == null ? null : JSON.stringify(mergedParameters(parameters, {}));
}

/** Parameters that the column stands for. */
export function parseParameters(text: string | null): Parameters {
  return text === null ? null : (JSON.parse(text) as Record<string, string>);
}

/** A failure as JSON that fits its column and that every store takes (rule 4). */
export function failureText(failure: Failure | null): string | null {
  if (failure === null) return null;
  const message = storableText(failure.message, MAX_FAILURE_MESSAGE_CHARS);
  return JSON.stringify({ ...failure, message, reason: storableText(failure.reason, MAX_FAILURE_REASON_CHARS) });
}

/** The failure that the column stands for. */
export function parseFailure(text: string | null): Failure | null {
  return text === null ? null : (JSON.parse(text) as Failure);
}

/** How far an attempt is, with its number, as JSON that fits its column. */
export function progressText({ key, fraction, message }: AttemptProgress): string {
  return JSON.stringify([key.attempt, fraction, storableText(message, MAX_PROGRESS_MESSAGE_CHARS)]);
}

/** What an attempt has said by the column; null when that was another attempt, or none. */
export function parseProgress(text: string | null, attempt: number): Execution["progress"] {
  if (text === null) return null;
  const [sayer, fraction, message] = JSON.parse(text) as [number, number, string];
  return sayer === attempt ? { fraction, message } : null;
}

/** Fields of `value` that are not as in `base`; both are plain data. */
function difference<T extends object>(value: T, base: T): Partial<T> {
  const differing: Partial<T> = {};
  for (const key of Object.keys(value) as (keyof T)[]) {
    const own = value[key];
    const usual = base[key];
    if (own === usual) continue;
    if (typeof own === "object" && JSON.stringify(own) === JSON.stringify(usual)) continue;
    differing[key] = own;
  }
  return differing;
}
