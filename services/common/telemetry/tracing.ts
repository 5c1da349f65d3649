import type { AttributeName, SpanName } from "./names.ts";

/** Values of attributes. */
export type AttributeValue = string | number | boolean;

/** Attributes by their declared names. */
export type Attributes = Readonly<Partial<Record<AttributeName, AttributeValue>>>;

/** What a span is started with. */
export interface SpanOptions {
  /** W3C traceparent to continue, or null for a new trace. One that is not valid starts a new trace. */
  readonly parent: string | null;
  /** W3C tracestate of the parent, or null. */
  readonly tracestate?: string | null;
  readonly kind?: SpanKind;
  readonly attributes?: Attributes;
  /** traceparents of spans that this one follows without being their child. */
  readonly links?: readonly string[];
  /** When it began, in µs of Unix time; now when unset. */
  readonly startUs?: number;
}

/** Role of a span, as OpenTelemetry has it. */
export type SpanKind = "internal" | "server" | "client" | "producer" | "consumer";

/** A span that has begun. */
export interface ActiveSpan {
  /** Hand this to whoever continues the trace. */
  readonly traceparent: string;
  /** W3C tracestate that travels with it, or null. */
  readonly tracestate: string | null;
  /** True when the span is exported; then attributes that cost something are worth making. */
  readonly recording: boolean;
  /** Adds attributes. */
  set(attributes: Attributes): void;
  /** Ends it: without error as OK. `endUs` is µs of Unix time; now when unset. Only the first call counts. */
  end(result?: { readonly error?: string; readonly endUs?: number }): void;
}

/** Where spans are started. Without an exporter a span is its traceparent and nothing else. */
export interface Tracing {
  /** True when spans are exported. */
  readonly enabled: boolean;
  /**
   * True when a span that continues this trace is exported. To be asked where a
   * span would be made for every execution: what is sampled out then costs next
   * to nothing, and its context goes on as it came.
   */
  records(traceparent: string): boolean;
  startSpan(name: SpanName, options: SpanOptions): ActiveSpan;
  /** Sends what is recorded and stops; at most `timeoutMs`. */
  stop(timeoutMs: number): Promise<void>;
}
