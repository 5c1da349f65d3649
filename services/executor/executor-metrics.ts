import type { AttemptOutcome, ReturnReason } from "../common/domain/attempt.ts";
import type { DispatchOrder } from "../common/domain/dispatch.ts";
import type { Target } from "../common/domain/target.ts";
import type { Counter, Histogram, Metrics } from "../common/telemetry/metrics.ts";
import type { ExecutorStatus } from "./executor.ts";

/** What an executor counts, bound once. */
export class ExecutorMetrics {
  readonly droppedBytes: Counter;
  readonly duplicates: Counter;
  readonly fenced: Counter;
  readonly received: { readonly lane: Counter; readonly session: Counter };
  readonly #wait: Histogram;
  readonly #lateness: Histogram;
  readonly #returned: Readonly<Record<ReturnReason, Counter>>;
  readonly #run: Readonly<Record<Target["kind"], Histogram>>;

  constructor(metrics: Metrics) {
    const returned = (reason: ReturnReason): Counter => metrics.counter("jobmesh_executor_returned_total", { reason });
    const run = (target: Target["kind"]): Histogram => metrics.histogram("jobmesh_executor_run_seconds", { target });
    this.droppedBytes = metrics.counter("jobmesh_executor_output_dropped_bytes_total", {});
    this.duplicates = metrics.counter("jobmesh_executor_duplicates_total", {});
    this.fenced = metrics.counter("jobmesh_executor_fenced_total", {});
    this.received = {
      lane: metrics.counter("jobmesh_executor_received_total", { way: "kafka" }),
      session: metrics.counter("jobmesh_executor_received_total", { way: "session" }),
    };
    this.#wait = metrics.histogram("jobmesh_executor_wait_seconds", {});
    this.#lateness = metrics.histogram("jobmesh_executor_lateness_seconds", {});
    this.#returned = {
      NOT_STARTED: returned("NOT_STARTED"),
      CUT_OFF: returned("CUT_OFF"),
      UNKNOWN: returned("UNKNOWN"),
    };
    this.#run = { command: run("command"), handler: run("handler"), grpc: run("grpc"), http: run("http") };
  }

  /** An attempt starts now, by mesh time. */
  started(order: Pick<DispatchOrder, "key" | "dispatchUs" | "holdUntilUs" | "scheduledUs">, nowUs: number): void {
    this.#wait.record(Math.max(nowUs - (order.holdUntilUs ?? order.dispatchUs), 0) / 1e6);
    if (order.key.attempt === 1) this.#lateness.record(Math.max(nowUs - order.scheduledUs, 0) / 1e6);
  }

  /** An attempt that ran has ended. */
  ran(kind: Target["kind"], seconds: number): void {
    this.#run[kind].record(seconds);
  }

  /** A result is kept: those that hand an attempt back are counted. */
  kept(outcome: AttemptOutcome): void {
    if (outcome.kind === "returned") this.#returned[outcome.reason].add(1);
  }
}

/** Shows an executor's state at each scrape; returns what ends it. */
export function showExecutor(metrics: Metrics, status: () => ExecutorStatus, slots: number): () => void {
  const ends = [
    metrics.gauge("jobmesh_executor_attempts", {}, () => status().running),
    metrics.gauge("jobmesh_executor_slots", {}, () => slots),
    metrics.gauge("jobmesh_executor_kept_results", {}, () => status().keptResults),
    metrics.gauge("jobmesh_executor_kept_bytes", {}, () => status().keptBytes),
    metrics.gauge("jobmesh_executor_homed", {}, () => (status().homed ? 1 : 0)),
  ];
  return () => {
    for (const end of ends) end();
  };
}
