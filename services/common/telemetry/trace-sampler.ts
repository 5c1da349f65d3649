import { ROOT_CONTEXT } from "@opentelemetry/api";
import { SamplingDecision, TraceIdRatioBasedSampler } from "@opentelemetry/sdk-trace-node";
import type { TracingConfig } from "./create-tracing.ts";
import { isSampled, parseTraceparent, type TraceContext } from "./traceparent.ts";

/**
 * Decides by OTEL_TRACES_SAMPLER which spans the SDK ever sees. It is ours so
 * that a trace that is sampled out costs a look at one character: the SDK asks
 * its samplers only after everything that a span needs was made.
 */
export class TraceSampler {
  readonly #asksParent: boolean;
  /** Whether a trace without a parent is taken. */
  readonly #takesRoot: (traceId: string) => boolean;

  constructor({ tracesSampler, tracesSamplerRatio }: Pick<TracingConfig, "tracesSampler" | "tracesSamplerRatio">) {
    this.#asksParent = tracesSampler.startsWith("parentbased_");
    this.#takesRoot = rootSampler(tracesSampler, tracesSamplerRatio);
  }

  /** Whether a span of this trace is taken. */
  takes(traceId: string, parent: TraceContext | null): boolean {
    return this.#asksParent && parent !== null ? parent.sampled : this.#takesRoot(traceId);
  }

  /** The same for the child of a traceparent; false where it is none. */
  continues(traceparent: string): boolean {
    if (this.#asksParent) return isSampled(traceparent);
    const parent = parseTraceparent(traceparent);
    return parent !== null && this.#takesRoot(parent.traceId);
  }
}

function rootSampler(name: TracingConfig["tracesSampler"], ratio: number): (traceId: string) => boolean {
  switch (name) {
    case "always_on":
    case "parentbased_always_on":
      return () => true;
    case "always_off":
    case "parentbased_always_off":
      return () => false;
    case "traceidratio":
    case "parentbased_traceidratio": {
      // OpenTelemetry's own, so that all languages of a trace decide alike.
      const sampler = new TraceIdRatioBasedSampler(ratio);
      return (traceId) => sampler.shouldSample(ROOT_CONTEXT, traceId).decision === SamplingDecision.RECORD_AND_SAMPLED;
    }
  }
}
