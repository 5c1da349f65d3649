import { Metadata } from "@grpc/grpc-js";
import type { ActiveSpan } from "../telemetry/tracing.ts";

/** Options of one call. */
export interface CallOptions {
  /** Milliseconds until DEADLINE. Unary calls have the channel's by default; null means none. Streams have none. */
  readonly timeoutMs?: number | null;
  /** Cancels the call. */
  readonly signal?: AbortSignal | undefined;
  /** W3C trace context to send. */
  readonly traceparent?: string | null;
  /** W3C trace state to send. */
  readonly tracestate?: string | null;
  /** Overrides the channel's waitForReady. */
  readonly waitForReady?: boolean;
  /** More metadata: lower-case keys, ASCII text. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** Builds what travels beside the messages. A span's context goes before that of the options. */
export function callMetadata(options: CallOptions, span: ActiveSpan | null, waitForReady: boolean): Metadata {
  const metadata = new Metadata({ waitForReady: options.waitForReady ?? waitForReady });
  const traceparent = span?.traceparent ?? options.traceparent ?? null;
  const tracestate = span?.tracestate ?? options.tracestate ?? null;
  if (traceparent !== null) metadata.set("traceparent", traceparent);
  if (tracestate !== null && tracestate !== "") metadata.set("tracestate", tracestate);
  for (const [key, value] of Object.entries(options.metadata ?? {})) metadata.set(key, value);
  return metadata;
}
