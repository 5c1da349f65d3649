import type { ExecutionId } from "../../common/domain/identifier.ts";
import type { Job } from "../../common/domain/job.ts";
import type { FireOutcome } from "../../common/port/store-jobs.ts";
import type { ActiveSpan, Tracing } from "../../common/telemetry/tracing.ts";

/** The first span of each execution that a fire makes: a trace of its own, also where a fire catches up with several. */
export class FireSpans {
  readonly #tracing: Tracing;
  readonly #job: Job;
  readonly #spans = new Map<ExecutionId, ActiveSpan>();

  constructor(tracing: Tracing, job: Job) {
    this.#tracing = tracing;
    this.#job = job;
  }

  /** Begins one. */
  start(executionId: ExecutionId): ActiveSpan {
    const { jobId, namespace } = this.#job;
    const span = this.#tracing.startSpan("jobmesh.fire", {
      parent: null,
      attributes: { "jobmesh.execution_id": executionId, "jobmesh.job_id": jobId, "jobmesh.namespace": namespace },
    });
    this.#spans.set(executionId, span);
    return span;
  }

  /** The store has answered. */
  end(outcome: Exclude<FireOutcome, { kind: "refused" }>): void {
    for (const [executionId, span] of this.#spans) {
      if (outcome.kind === "early") span.end({ error: "it had no room ahead of its time" });
      else if (outcome.kind === "stale") span.end({ error: "the job has changed, or another owner was first" });
      else {
        if (outcome.skippedIds.includes(executionId)) span.set({ "jobmesh.state": "SKIPPED" });
        span.end();
      }
    }
  }

  /** The store has not. */
  fail(error: unknown): void {
    for (const span of this.#spans.values()) span.end({ error: String(error) });
  }
}
