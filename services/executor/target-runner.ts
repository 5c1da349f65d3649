import type { AttemptOutcome } from "../common/domain/attempt.ts";
import type { Capability } from "../common/domain/executor.ts";
import type { RunningAttempt } from "./running-attempt.ts";

/** How an attempt ended, as its target says. */
export type AttemptEnding = {
  readonly outcome: AttemptOutcome;
  /** By the executor's clock, microseconds; null when it never started. */
  readonly startUs: number | null;
  readonly endUs: number;
  readonly exitCode: number | null;
  readonly output: string;
  readonly errorOutput: string;
};

/** TargetRunner runs attempts of one capability. */
export interface TargetRunner {
  readonly capability: Capability;
  /** True when it ends attempts at their timeout itself; else the executor aborts their signal. */
  readonly keepsTimeout: boolean;
  /** Runs one attempt to its end. Never throws or rejects: a failure is an outcome. */
  run(attempt: RunningAttempt): AttemptEnding | Promise<AttemptEnding>;
  /** Lets go of what it keeps between attempts, when the executor has left. */
  close?(): void;
}
