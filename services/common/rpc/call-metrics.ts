import type { StatusCode } from "../error/reasons.ts";
import type { Counter, Histogram, Metrics } from "../telemetry/metrics.ts";

/** Counts the calls of one method by their status code. */
export class CallMetrics {
  readonly #metrics: Metrics;
  readonly #method: string;
  readonly #seconds: Histogram;
  readonly #counters = new Map<StatusCode | "OK", Counter>();

  constructor(metrics: Metrics, method: string) {
    this.#metrics = metrics;
    this.#method = method;
    this.#seconds = metrics.histogram("jobmesh_rpc_seconds", { method });
  }

  /** A call ended; unary ones say how long they took. */
  ended(code: StatusCode | "OK", durationMs: number | null): void {
    let counter = this.#counters.get(code);
    if (counter === undefined) {
      counter = this.#metrics.counter("jobmesh_rpc_calls_total", { method: this.#method, code });
      this.#counters.set(code, counter);
    }
    counter.add(1);
    if (durationMs !== null) this.#seconds.record(durationMs / 1_000);
  }
}
