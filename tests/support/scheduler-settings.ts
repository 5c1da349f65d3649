import type { SchedulerSettings } from "../../services/scheduler/scheduler-config.ts";

/** Settings of the schedulers that tests run as a whole; the name is left to the test. */
export const schedulerSettings: Omit<SchedulerSettings, "schedulerId"> = {
  version: "1",
  heartbeatMs: 1_000,
  suspectMs: 3_000,
  leaseMs: 5_000,
  sessionLeaseMs: 45_000,
  lossMs: 6_000,
  killGraceMs: 10_000,
  reportDelayMs: 250,
  sweepMs: 250,
  lookAheadMs: 2_000,
  aheadMs: 300,
  missedMs: 15_000,
  backstopMs: 2_000,
  resultBackstopMs: 3_000,
  resultBatchRows: 1_000,
  submitGroupRows: 500,
  maxWaitingExecutions: 1_000_000,
  submitGroupBytes: 4 * 1024 * 1024,
  claimRows: 500,
  lossBusWaitMs: 30_000,
  retentionMs: 30 * 86_400_000,
  executionEvents: false,
  embeddedExecutor: null,
};
