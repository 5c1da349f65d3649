import { LostPolicy, type ExecutionPolicy as PolicyMessage, RoutingStrategy } from "../../../gen/jobmesh/v1/job.ts";
import type { ExecutionPolicy } from "../domain/policy.ts";
import { durationOfMs, optionalDuration } from "./time.ts";

const STRATEGIES = {
  LEAST_LOADED: RoutingStrategy.ROUTING_STRATEGY_LEAST_LOADED,
  ROUND_ROBIN: RoutingStrategy.ROUTING_STRATEGY_ROUND_ROBIN,
} as const;

/** A policy as the contract shows it, every default filled in. */
export function policyToMessage(policy: ExecutionPolicy): PolicyMessage {
  return {
    priority: policy.priority,
    timeout: durationOfMs(policy.timeoutMs),
    startDeadline: optionalDuration(policy.startDeadlineMs),
    retry: {
      maxAttempts: policy.retry.maxAttempts,
      initialInterval: durationOfMs(policy.retry.initialIntervalMs),
      multiplier: policy.retry.multiplier,
      maxInterval: durationOfMs(policy.retry.maxIntervalMs),
      jitter: policy.retry.jitter,
      nonRetryableReasons: [...policy.retry.nonRetryableReasons],
      maxDuration: optionalDuration(policy.retry.maxDurationMs),
    },
    routing: {
      strategy: STRATEGIES[policy.routingStrategy],
      executorLabels: { ...policy.executorLabels },
      routingKey: "",
    },
    maxConcurrency: policy.maxConcurrency,
    lostPolicy: policy.lostPolicy === "FAIL" ? LostPolicy.LOST_POLICY_FAIL : LostPolicy.LOST_POLICY_RETRY,
    retention: optionalDuration(policy.retentionMs),
    maxLosses: policy.maxLosses,
    limitKeys: [],
    failedRetention: optionalDuration(policy.failedRetentionMs),
  };
}
