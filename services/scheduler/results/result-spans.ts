import type { AttemptResult } from "../../common/domain/attempt.ts";
import type { ActiveSpan, Tracing } from "../../common/telemetry/tracing.ts";

/** Spans of a batch that is being stored. */
export type BatchSpans = { end(error: unknown): void };

const noSpans: BatchSpans = { end: () => {} };

/** Makes the last span of each attempt: its result is read and stored. Costs nothing without an exporter. */
export class ResultSpans {
  readonly #tracing: Tracing;

  constructor(tracing: Tracing) {
    this.#tracing = tracing;
  }

  start(results: readonly AttemptResult[]): BatchSpans {
    if (!this.#tracing.enabled) return noSpans;
    const spans: ActiveSpan[] = [];
    for (const result of results) {
      if (!this.#tracing.records(result.traceparent)) continue;
      spans.push(
        this.#tracing.startSpan("jobmesh.result", {
          parent: result.traceparent,
          tracestate: result.tracestate ?? null,
          kind: "consumer",
          attributes: {
            "jobmesh.execution_id": result.key.executionId,
            "jobmesh.attempt": result.key.attempt,
            "jobmesh.executor_id": result.executorId,
            "jobmesh.state": result.outcome.kind.toUpperCase(),
            "jobmesh.batch.size": results.length,
          },
        }),
      );
    }
    return {
      end: (error) => {
        for (const span of spans) span.end(error === null ? {} : { error: String(error) });
      },
    };
  }
}
