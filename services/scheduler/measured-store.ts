import type { AttemptResult } from "../common/domain/attempt.ts";
import { type Cause, type ExecutionState, isFinal } from "../common/domain/execution.ts";
import type { HeldOutcome } from "../common/domain/held-fire.ts";
import type { Clock } from "../common/port/clock.ts";
import type { ResultOutcome, StoreResultsOutcome, SubmitOutcome } from "../common/port/store-executions.ts";
import type { Fire, FireOutcome } from "../common/port/store-jobs.ts";
import { LabelledCounter } from "../common/telemetry/labelled-counter.ts";
import type { Histogram, Metrics } from "../common/telemetry/metrics.ts";
import type { StoreListeners } from "./heard-store.ts";
import type { MeasureOf } from "./measured-calls.ts";

/** What made an execution, in the words of the metrics. */
const SOURCES: Readonly<Record<Cause, string>> = {
  SCHEDULE: "schedule",
  RUN_JOB: "run",
  SUBMIT: "submit",
  BACKFILL: "backfill",
  RETRY_EXECUTION: "retry",
};

/**
 * What happens to executions, counted where it becomes true: at the store's
 * port, by what each call was answered. So a count is of what is stored,
 * whichever loop asked for it, and the loops know nothing of it. One call is
 * one batch, so hot paths are counted a batch at a time.
 */
export function countingListeners(metrics: Metrics): StoreListeners {
  const counts = new ExecutionCounts(metrics);
  const lost = metrics.counter("jobmesh_executors_lost_total", {});
  const drift = metrics.counter("jobmesh_gate_drift_total", {});
  return {
    jobs: { fireAll: (outcomes, fires) => counts.fired(fires, outcomes) },
    executors: { declareLost: (did) => lost.add(did ? 1 : 0) },
    executions: {
      submit: (outcomes) => counts.submitted(outcomes),
      claim: (claimed) => counts.claimed(claimed.length),
      forResend: (sent) => counts.resent(sent.length),
      storeResults: (outcome, results) => counts.results(results, outcome),
      endLost: (outcomes) => counts.lost(outcomes),
      expire: (expired) => {
        for (const { state } of expired) counts.stopped(state);
      },
      makeReady: (made) => {
        for (const one of made) if ("ended" in one) counts.stopped(one.ended);
      },
      releaseHeld: (outcomes) => {
        for (const outcome of outcomes) counts.released(outcome);
      },
      requestStop: (outcome) => counts.stopped(outcome.kind === "ended" ? outcome.execution.state : null),
      recountGates: (gates) => drift.add(gates.length),
    },
  };
}

/** Times the store's calls, one histogram a call. */
export function storeSeconds(metrics: Metrics, clock: Clock): MeasureOf {
  const seconds = new Map<string, Histogram>();
  return (call) => {
    const histogram = seconds.get(call) ?? metrics.histogram("jobmesh_store_seconds", { call });
    seconds.set(call, histogram);
    return { nowMs: () => clock.monotonicMs(), took: (ms) => histogram.record(ms / 1000) };
  };
}

/** What happened to executions and their attempts, by what the store answered. */
class ExecutionCounts {
  readonly #submissions: LabelledCounter<string>;
  readonly #fires: LabelledCounter<"stored" | "skipped" | "refused">;
  readonly #dispatches: LabelledCounter<"direct" | "fire" | "claim" | "resend">;
  readonly #results: LabelledCounter<"stored" | "stale">;
  readonly #attempts: LabelledCounter<string>;
  readonly #ended: LabelledCounter<ExecutionState>;
  readonly #groupRows: Histogram;
  readonly #claimRows: Histogram;
  readonly #batchRows: Histogram;

  constructor(metrics: Metrics) {
    this.#submissions = new LabelledCounter((source) => metrics.counter("jobmesh_submissions_total", { source }));
    this.#fires = new LabelledCounter((outcome) => metrics.counter("jobmesh_fires_total", { outcome }));
    this.#dispatches = new LabelledCounter((way) => metrics.counter("jobmesh_dispatches_total", { way }));
    this.#results = new LabelledCounter((outcome) => metrics.counter("jobmesh_results_total", { outcome }));
    this.#attempts = new LabelledCounter((state) => metrics.counter("jobmesh_attempts_ended_total", { state }));
    this.#ended = new LabelledCounter((state) => metrics.counter("jobmesh_executions_ended_total", { state }));
    this.#groupRows = metrics.histogram("jobmesh_submit_group_rows", {});
    this.#claimRows = metrics.histogram("jobmesh_claim_rows", {});
    this.#batchRows = metrics.histogram("jobmesh_result_batch_rows", {});
  }

  submitted(outcomes: readonly SubmitOutcome[]): void {
    this.#groupRows.record(outcomes.length);
    let direct = 0;
    for (const outcome of outcomes) {
      if (outcome.kind !== "stored") continue;
      this.#submissions.add(SOURCES[outcome.execution.cause], 1);
      if (outcome.execution.state === "DISPATCHED") direct += 1;
    }
    this.#dispatches.add("direct", direct);
  }

  fired(fires: readonly Fire[], outcomes: readonly FireOutcome[]): void {
    for (const [index, fire] of fires.entries()) {
      const outcome = outcomes[index];
      if (outcome?.kind === "fired") {
        this.#stored(fire, outcome.skippedIds.length);
        this.#dispatches.add("fire", outcome.dispatched === undefined ? 0 : 1);
      }
      // Ahead of its time nothing is decided: it comes again.
      else if (outcome?.kind !== "early") this.#fires.add("refused", 1);
    }
  }

  #stored(fire: Fire, refusedByOverlap: number): void {
    const skipped = fire.skipped.length + refusedByOverlap;
    const made = fire.executions.length - refusedByOverlap;
    this.#fires.add("stored", made);
    this.#fires.add("skipped", skipped);
    this.#submissions.add("schedule", made);
    this.#ended.add("SKIPPED", skipped);
  }

  claimed(count: number): void {
    if (count > 0) this.#claimRows.record(count);
    this.#dispatches.add("claim", count);
  }

  resent(count: number): void {
    this.#dispatches.add("resend", count);
  }

  results(results: readonly AttemptResult[], outcome: StoreResultsOutcome): void {
    // Another owner was first: the batch is read again.
    if (outcome.kind === "offset_conflict") return;
    if (results.length > 0) this.#batchRows.record(results.length);
    let applied = 0;
    for (const [index, { applied: isApplied, state }] of outcome.results.entries()) {
      if (!isApplied) continue;
      applied += 1;
      const end = results[index]?.outcome.kind;
      if (end !== undefined) this.#attempts.add(end.toUpperCase(), 1);
      this.stopped(state);
    }
    this.#results.add("stored", applied);
    this.#results.add("stale", outcome.results.length - applied);
  }

  lost(outcomes: readonly ResultOutcome[]): void {
    for (const { applied, state } of outcomes) {
      if (!applied) continue;
      this.#attempts.add("LOST", 1);
      this.stopped(state);
    }
  }

  /** A call back that ends what it has called back. */
  released(outcome: HeldOutcome): void {
    if (outcome === "skipped") this.stopped("SKIPPED");
    if (outcome === "cancelled") this.stopped("CANCELLED");
  }

  /** Counts an execution where the state is a final one. */
  stopped(state: ExecutionState | null): void {
    if (state !== null && isFinal(state)) this.#ended.add(state, 1);
  }
}
