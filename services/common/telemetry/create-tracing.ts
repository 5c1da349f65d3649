import type { ProcessConfig } from "../config/process-settings.ts";
import type { Clock } from "../port/clock.ts";
import type { Random } from "../port/random.ts";
import type { Logger } from "../runtime/log.ts";
import { CarriedSpan } from "./carried-span.ts";
import { newTraceparent, parseTraceparent, usableTracestate } from "./traceparent.ts";
import type { Tracing } from "./tracing.ts";

/** What tracing is set up by: OpenTelemetry's own settings. */
export type TracingConfig = Pick<
  ProcessConfig<"client">,
  | "otlpEndpoint"
  | "otlpTracesEndpoint"
  | "otlpProtocol"
  | "otlpTracesProtocol"
  | "tracesExporter"
  | "tracesSampler"
  | "tracesSamplerRatio"
  | "spanQueueSize"
  | "spanBatchSize"
  | "spanDelayMs"
  | "otelServiceName"
  | "otelResource"
  | "otelDisabled"
>;

/** What tracing needs. */
export interface TracingDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** Which process exports. */
export interface TracedProcess {
  /** "jobmesh-scheduler"; OTEL_SERVICE_NAME goes before it. */
  readonly serviceName: string;
  /** Its identifier in the mesh. */
  readonly instanceId: string;
  /** Version of the software. */
  readonly version: string;
}

/**
 * Tracing by the OTEL_* settings. Without an endpoint nothing of the SDK is
 * loaded; traces are still made and carried on, so that an execution always has
 * its trace id and an executor that exports has a trace to export to.
 */
export async function createTracing(
  deps: TracingDeps,
  config: TracingConfig,
  process: TracedProcess,
): Promise<Tracing> {
  const endpoint = config.otlpTracesEndpoint ?? config.otlpEndpoint;
  if (endpoint === null || config.tracesExporter === "none" || config.otelDisabled) {
    return propagatingTracing(deps.random);
  }
  const { startSdkTracing } = await import("./sdk-tracing.ts");
  return await startSdkTracing(deps, config, process);
}

/** Tracing that exports nothing: a span is the context that came, or a new one. */
export function propagatingTracing(random: Random): Tracing {
  return {
    enabled: false,
    records: () => false,
    startSpan: (_name, { parent, tracestate }) => {
      if (parent === null || parseTraceparent(parent) === null) return new CarriedSpan(newTraceparent(random), null);
      return new CarriedSpan(parent, usableTracestate(tracestate));
    },
    stop: () => Promise.resolve(),
  };
}
