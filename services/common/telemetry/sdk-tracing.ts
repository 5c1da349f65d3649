/** Tracing by the OpenTelemetry SDK. Only create-tracing.ts loads this file, and only when traces are exported. */

import {
  type Context,
  createTraceState,
  DiagLogLevel,
  diag,
  type HrTime,
  type Link,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import { resourceFromAttributes } from "@opentelemetry/resources";
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BasicTracerProvider,
  BatchSpanProcessor,
  ParentBasedSampler,
  type Sampler,
  type SpanExporter,
  TraceIdRatioBasedSampler,
} from "@opentelemetry/sdk-trace-node";
import type { Clock } from "../port/clock.ts";
import type { TracedProcess, TracingConfig, TracingDeps } from "./create-tracing.ts";
import type { SpanName } from "./names.ts";
import { formatTraceparent, newId, parseTraceparent, usableTracestate } from "./traceparent.ts";
import type { ActiveSpan, Attributes, SpanOptions, Tracing } from "./tracing.ts";

/** Longest one export may take, tries included: spans are not worth holding up the end of a process. */
const EXPORT_TIMEOUT_MS = 2_000;

/** Starts the SDK. It registers nothing globally: a process may hold several, as tests do. */
export async function startSdkTracing(
  { clock, random, log }: TracingDeps,
  config: TracingConfig,
  process: TracedProcess,
): Promise<Tracing> {
  const warn = (message: string): void => log.warn({ detail: message.slice(0, 500) }, "traces could not be exported");
  const quiet = (): void => {};
  diag.setLogger(
    { error: warn, warn, info: quiet, debug: quiet, verbose: quiet },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
  const exporter = await createExporter(config);
  const processor = new BatchSpanProcessor(exporter, {
    maxQueueSize: config.spanQueueSize,
    maxExportBatchSize: Math.min(config.spanBatchSize, config.spanQueueSize),
    scheduledDelayMillis: config.spanDelayMs,
  });
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({
      "service.version": process.version,
      "service.instance.id": process.instanceId,
      ...config.otelResource,
      "service.name": config.otelServiceName ?? config.otelResource["service.name"] ?? process.serviceName,
    }),
    sampler: samplerOf(config),
    spanProcessors: [processor],
    idGenerator: { generateTraceId: () => newId(random, 16), generateSpanId: () => newId(random, 8) },
  });
  const shutdown = (): Promise<void> => provider.shutdown().catch((thrown: unknown) => warn(String(thrown)));
  return new SdkTracing(clock, provider.getTracer("jobmesh", process.version), shutdown);
}

class SdkTracing implements Tracing {
  readonly enabled = true;
  readonly #clock: Clock;
  readonly #tracer: Tracer;
  readonly #shutdown: () => Promise<void>;

  constructor(clock: Clock, tracer: Tracer, shutdown: () => Promise<void>) {
    this.#clock = clock;
    this.#tracer = tracer;
    this.#shutdown = shutdown;
  }

  startSpan(name: SpanName, options: SpanOptions): ActiveSpan {
    const links: Link[] = [];
    for (const linked of options.links ?? []) {
      const context = spanContextOf(linked, null);
      if (context !== null) links.push({ context });
    }
    const span = this.#tracer.startSpan(
      name,
      {
        kind: KINDS[options.kind ?? "internal"],
        attributes: { ...options.attributes },
        links,
        ...(options.startUs === undefined ? {} : { startTime: hrTimeOf(options.startUs) }),
      },
      contextOf(options),
    );
    return new SdkSpan(span);
  }

  async stop(timeoutMs: number): Promise<void> {
    const over = new AbortController();
    await Promise.race([this.#shutdown(), this.#clock.sleep(timeoutMs, over.signal)]);
    over.abort();
  }
}

class SdkSpan implements ActiveSpan {
  readonly recording: boolean;
  readonly traceparent: string;
  readonly tracestate: string | null;
  readonly #span: Span;

  constructor(span: Span) {
    const { traceId, spanId, traceFlags, traceState } = span.spanContext();
    this.#span = span;
    this.recording = span.isRecording();
    this.traceparent = formatTraceparent({ traceId, spanId, sampled: (traceFlags & TraceFlags.SAMPLED) !== 0 });
    this.tracestate = traceState?.serialize() || null;
  }

  set(attributes: Attributes): void {
    if (this.recording) this.#span.setAttributes({ ...attributes });
  }

  end(result: { readonly error?: string; readonly endUs?: number } = {}): void {
    if (!this.#span.isRecording()) return;
    if (result.error !== undefined) this.#span.setStatus({ code: SpanStatusCode.ERROR, message: result.error });
    this.#span.end(result.endUs === undefined ? undefined : hrTimeOf(result.endUs));
  }
}

const KINDS = {
  internal: SpanKind.INTERNAL,
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
};

function contextOf({ parent, tracestate }: SpanOptions): Context {
  const context = spanContextOf(parent, tracestate ?? null);
  return context === null ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, context);
}

function spanContextOf(traceparent: string | null, tracestate: string | null): SpanContext | null {
  const parsed = parseTraceparent(traceparent);
  if (parsed === null) return null;
  const { traceId, spanId, sampled } = parsed;
  const state = usableTracestate(tracestate);
  return {
    traceId,
    spanId,
    traceFlags: sampled ? TraceFlags.SAMPLED : TraceFlags.NONE,
    isRemote: true,
    ...(state === null ? {} : { traceState: createTraceState(state) }),
  };
}

function samplerOf({ tracesSampler, tracesSamplerRatio }: TracingConfig): Sampler {
  switch (tracesSampler) {
    case "always_on":
      return new AlwaysOnSampler();
    case "always_off":
      return new AlwaysOffSampler();
    case "traceidratio":
      return new TraceIdRatioBasedSampler(tracesSamplerRatio);
    case "parentbased_always_on":
      return new ParentBasedSampler({ root: new AlwaysOnSampler() });
    case "parentbased_always_off":
      return new ParentBasedSampler({ root: new AlwaysOffSampler() });
    case "parentbased_traceidratio":
      return new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(tracesSamplerRatio) });
  }
}

/** Each exporter is loaded alone: the gRPC one costs the most and is seldom the one. */
async function createExporter(config: TracingConfig): Promise<SpanExporter> {
  const protocol = config.otlpTracesProtocol ?? config.otlpProtocol;
  const url = config.otlpTracesEndpoint ?? defaultUrl(config.otlpEndpoint ?? "", protocol);
  switch (protocol) {
    case "grpc":
      return new (await import("@opentelemetry/exporter-trace-otlp-grpc")).OTLPTraceExporter({
        url,
        timeoutMillis: EXPORT_TIMEOUT_MS,
      });
    case "http/json":
      return new (await import("@opentelemetry/exporter-trace-otlp-http")).OTLPTraceExporter({
        url,
        timeoutMillis: EXPORT_TIMEOUT_MS,
      });
    case "http/protobuf":
      return new (await import("@opentelemetry/exporter-trace-otlp-proto")).OTLPTraceExporter({
        url,
        timeoutMillis: EXPORT_TIMEOUT_MS,
      });
  }
}

/** By OpenTelemetry's rule the endpoint for all signals gets the path of traces, over HTTP. */
function defaultUrl(endpoint: string, protocol: string): string {
  return protocol === "grpc" ? endpoint : `${endpoint.replace(/\/$/, "")}/v1/traces`;
}

function hrTimeOf(timeUs: number): HrTime {
  const seconds = Math.floor(timeUs / 1_000_000);
  return [seconds, (timeUs - seconds * 1_000_000) * 1_000];
}
