import type { Duration } from "../../../gen/google/protobuf/duration.ts";
import {
  LostPolicy,
  type ExecutionPolicy as PolicyMessage,
  type RetryPolicy as RetryMessage,
  type Routing,
  RoutingStrategy,
} from "../../../gen/jobmesh/v1/job.ts";
import { defaultPolicy, type ExecutionPolicy, type RetryPolicy } from "../../common/domain/policy.ts";
import type { FieldFaults } from "./field-faults.ts";

/** Longest timeout, start deadline, wait between attempts, and time of all attempts together: 366 days. */
const MAX_DURATION_MS = 366 * 86_400_000;
/** What limits a start or all retries. */
const LIMIT = { minMs: 1, maxMs: MAX_DURATION_MS };
/** A minute, as waits and readers of ended executions come seconds after their end, to ten years. */
const RETENTION = { minMs: 60_000, maxMs: 3_660 * 86_400_000 };
/** Failures that a retry policy names, and characters of one. */
const MAX_REASONS = 64;
const MAX_REASON_CHARACTERS = 128;

/** Checks a policy and fills in the contract's defaults. */
export function checkPolicy(faults: FieldFaults, field: string, message: PolicyMessage | undefined): ExecutionPolicy {
  if (message === undefined) return defaultPolicy;
  faults.unsupported(`${field}.limit_keys`, message.limitKeys.length > 0);
  return {
    priority: faults.whole(`${field}.priority`, message.priority, { min: -1000, max: 1000, unset: 0 }),
    timeoutMs: faults.durationMs(`${field}.timeout`, message.timeout, {
      minMs: 1,
      maxMs: MAX_DURATION_MS,
      unsetMs: defaultPolicy.timeoutMs,
    }),
    startDeadlineMs: optionalMs(faults, `${field}.start_deadline`, message.startDeadline, LIMIT),
    retry: checkRetry(faults, `${field}.retry`, message.retry),
    lostPolicy: faults.oneOf(`${field}.lost_policy`, lostPolicies, message.lostPolicy, defaultPolicy.lostPolicy),
    maxLosses: faults.whole(`${field}.max_losses`, message.maxLosses, {
      min: 1,
      max: 1000,
      unset: defaultPolicy.maxLosses,
    }),
    maxConcurrency: faults.whole(`${field}.max_concurrency`, message.maxConcurrency, {
      min: 1,
      max: 1_000_000,
      unset: 0,
    }),
    retentionMs: optionalMs(faults, `${field}.retention`, message.retention, RETENTION),
    failedRetentionMs: optionalMs(faults, `${field}.failed_retention`, message.failedRetention, RETENTION),
    ...checkRouting(faults, `${field}.routing`, message.routing),
  };
}

function checkRetry(faults: FieldFaults, field: string, message: RetryMessage | undefined): RetryPolicy {
  const unset = defaultPolicy.retry;
  if (message === undefined) return unset;
  const wait = { minMs: 0, maxMs: MAX_DURATION_MS };
  return {
    maxAttempts: faults.whole(`${field}.max_attempts`, message.maxAttempts, {
      min: 1,
      max: 1000,
      unset: unset.maxAttempts,
    }),
    initialIntervalMs: faults.durationMs(`${field}.initial_interval`, message.initialInterval, {
      ...wait,
      unsetMs: unset.initialIntervalMs,
    }),
    multiplier: inRange(faults, `${field}.multiplier`, message.multiplier === 0 ? 1 : message.multiplier, 1, 1000),
    maxIntervalMs: faults.durationMs(`${field}.max_interval`, message.maxInterval, {
      ...wait,
      unsetMs: unset.maxIntervalMs,
    }),
    jitter: inRange(faults, `${field}.jitter`, message.jitter, 0, 1),
    nonRetryableReasons: checkReasons(faults, `${field}.non_retryable_reasons`, message.nonRetryableReasons),
    maxDurationMs: optionalMs(faults, `${field}.max_duration`, message.maxDuration, LIMIT),
  };
}

/** A duration in whole milliseconds; null when it is not there. */
function optionalMs(
  faults: FieldFaults,
  field: string,
  value: Duration | undefined,
  range: { readonly minMs: number; readonly maxMs: number },
): number | null {
  return value === undefined ? null : faults.durationMs(field, value, { ...range, unsetMs: range.minMs });
}

function inRange(faults: FieldFaults, field: string, value: number, min: number, max: number): number {
  if (!(value >= min && value <= max)) faults.add(field, `must be from ${min} to ${max}; was ${value}`);
  return value;
}

function checkReasons(faults: FieldFaults, field: string, reasons: readonly string[]): readonly string[] {
  if (reasons.length > MAX_REASONS) faults.add(field, `must be at most ${MAX_REASONS}; was ${reasons.length}`);
  reasons.slice(0, MAX_REASONS).forEach((reason, index) => {
    if (reason === "") faults.add(`${field}[${index}]`, `must be 1 to ${MAX_REASON_CHARACTERS} characters; was empty`);
    faults.text(`${field}[${index}]`, reason, MAX_REASON_CHARACTERS);
  });
  return reasons;
}

const lostPolicies = {
  [LostPolicy.LOST_POLICY_RETRY]: "RETRY",
  [LostPolicy.LOST_POLICY_FAIL]: "FAIL",
} as const;

function checkRouting(
  faults: FieldFaults,
  field: string,
  message: Routing | undefined,
): Pick<ExecutionPolicy, "executorLabels" | "routingStrategy"> {
  const { executorLabels, routingStrategy } = defaultPolicy;
  if (message === undefined) return { executorLabels, routingStrategy };
  const isTurn = message.strategy === RoutingStrategy.ROUTING_STRATEGY_ROUND_ROBIN;
  const known =
    isTurn ||
    message.strategy === RoutingStrategy.ROUTING_STRATEGY_UNSPECIFIED ||
    message.strategy === RoutingStrategy.ROUTING_STRATEGY_LEAST_LOADED;
  faults.unsupported(`${field}.strategy`, !known);
  faults.unsupported(`${field}.routing_key`, message.routingKey !== "");
  return {
    executorLabels: faults.labels(`${field}.executor_labels`, message.executorLabels),
    routingStrategy: isTurn ? "ROUND_ROBIN" : routingStrategy,
  };
}
