/** Tracing by the OpenTelemetry SDK. Only create-tracing.ts loads this file, and only when traces are exported. */

import {
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
  AlwaysOnSampler,
  BasicTracerProvider,
  BatchSpanProcessor,
  type IdGenerator,
  type SpanExporter,
} from "@opentelemetry/sdk-trace-node";
import type { Clock } from "../port/clock.ts";
import type { Random } from "../port/random.ts";
import { CarriedSpan } from "./carried-span.ts";
import type { TracedProcess, TracingConfig, TracingDeps } from "./create-tracing.ts";
import type { SpanName } from "./names.ts";
import { TraceSampler } from "./trace-sampler.ts";
import { formatTraceparent, newId, parseTraceparent, type TraceContext, usableTracestate } from "./traceparent.ts";
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
  const ids = new Ids(random);
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({
      "service.version": process.version,
      "service.instance.id": process.instanceId,
      ...config.otelResource,
      "service.name": config.otelServiceName ?? config.otelResource["service.name"] ?? process.serviceName,
    }),
    // What reaches the SDK is to be exported: the sampler below decides before it is asked.
    sampler: new AlwaysOnSampler(),
    spanProcessors: [processor],
    idGenerator: ids,
  });
  const shutdown = (): Promise<void> => provider.shutdown().catch((thrown: unknown) => warn(String(thrown)));
  const tracer = provider.getTracer("jobmesh", process.version);
  return new SdkTracing({ clock, tracer, ids, sampler: new TraceSampler(config), shutdown });
}

/** Identifiers from the process's randomness. The trace id of a new trace is drawn before the SDK asks for it. */
class Ids implements IdGenerator {
  readonly #random: Random;
  #drawn: string | null = null;

  constructor(random: Random) {
    this.#random = random;
  }

  /** The next new trace gets this one. */
  drawTraceId(): string {
    this.#drawn = newId(this.#random, 16);
    return this.#drawn;
  }

  generateTraceId(): string {
    const drawn = this.#drawn ?? newId(this.#random, 16);
    this.#drawn = null;
    return drawn;
  }

  generateSpanId(): string {
    return newId(this.#random, 8);
  }
}

type SdkParts = {
  readonly clock: Clock;
  readonly tracer: Tracer;
  readonly ids: Ids;
  readonly sampler: TraceSampler;
  readonly shutdown: () => Promise<void>;
};

class SdkTracing implements Tracing {
  readonly enabled = true;
  readonly #parts: SdkParts;

  constructor(parts: SdkParts) {
    this.#parts = parts;
  }

  records(traceparent: string): boolean {
    return this.#parts.sampler.continues(traceparent);
  }

  startSpan(name: SpanName, options: SpanOptions): ActiveSpan {
    const { ids, sampler } = this.#parts;
    const parent = parseTraceparent(options.parent);
    const state = parent === null ? null : usableTracestate(options.tracestate);
    const traceId = parent?.traceId ?? ids.drawTraceId();
    if (!sampler.takes(traceId, parent)) {
      const spanId = parent?.spanId ?? ids.generateSpanId();
      return new CarriedSpan(formatTraceparent({ traceId, spanId, sampled: false }), state);
    }
    const links: Link[] = [];
    for (const linked of options.links ?? []) {
      const context = parseTraceparent(linked);
      if (context !== null) links.push({ context: spanContextOf(context, null) });
    }
    const span = this.#parts.tracer.startSpan(
      name,
      {
        kind: KINDS[options.kind ?? "internal"],
        attributes: { ...options.attributes },
        links,
        ...(options.startUs === undefined ? {} : { startTime: hrTimeOf(options.startUs) }),
      },
      parent === null ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, spanContextOf(parent, state)),
    );
    return new SdkSpan(span);
  }

  async stop(timeoutMs: number): Promise<void> {
    const over = new AbortController();
    await Promise.race([this.#parts.shutdown(), this.#parts.clock.sleep(timeoutMs, over.signal)]);
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

function spanContextOf({ traceId, spanId, sampled }: TraceContext, state: string | null): SpanContext {
  return {
    traceId,
    spanId,
    traceFlags: sampled ? TraceFlags.SAMPLED : TraceFlags.NONE,
    isRemote: true,
    ...(state === null ? {} : { traceState: createTraceState(state) }),
  };
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
