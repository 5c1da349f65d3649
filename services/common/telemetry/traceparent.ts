import type { Random } from "../port/random.ts";

/** Where a trace stands: W3C Trace Context. */
export interface TraceContext {
  /** 32 hex digits, not all zero. */
  readonly traceId: string;
  /** 16 hex digits, not all zero. */
  readonly spanId: string;
  /** Whether whoever started the trace wants it exported. */
  readonly sampled: boolean;
}

/** Length of a traceparent of version 00, which is also that of its column. */
export const TRACEPARENT_LENGTH = 55;

/** Longest tracestate that is carried on; W3C asks for at least this much. */
export const MAX_TRACESTATE_LENGTH = 512;

const PATTERN = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** Reads a traceparent; null when it is none, which starts a new trace. Later versions are read as far as 00 goes. */
export function parseTraceparent(text: string | null | undefined): TraceContext | null {
  if (text === null || text === undefined || text.length < TRACEPARENT_LENGTH) return null;
  const [, version = "", traceId = "", spanId = "", flags = "", more] = PATTERN.exec(text) ?? [];
  if (version === "" || version === "ff" || (version === "00" && more !== undefined)) return null;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return null;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

/** Writes a traceparent of version 00. */
export function formatTraceparent({ traceId, spanId, sampled }: TraceContext): string {
  return `00-${traceId}-${spanId}-${sampled ? "01" : "00"}`;
}

/**
 * A new trace. It asks to be exported: a process without an exporter has no
 * opinion, and an executor that has one should not lose its spans by that.
 */
export function newTraceparent(random: Random): string {
  return formatTraceparent({ traceId: newId(random, 16), spanId: newId(random, 8), sampled: true });
}

/** The sampled flag of a traceparent that this mesh wrote, read without looking at the rest. */
export function isSampled(traceparent: string): boolean {
  return traceparent.length === TRACEPARENT_LENGTH && (Number.parseInt(traceparent.slice(-1), 16) & 1) === 1;
}

/** Trace id of a traceparent; empty when it is none. */
export function traceIdOf(traceparent: string | null | undefined): string {
  return parseTraceparent(traceparent)?.traceId ?? "";
}

/** A tracestate that can be carried on, or null. */
export function usableTracestate(text: string | null | undefined): string | null {
  if (text === null || text === undefined || text === "" || text.length > MAX_TRACESTATE_LENGTH) return null;
  return /^[\x20-\x7e]+$/.test(text) ? text : null;
}

/** An id of so many bytes in hex, never all zero. */
export function newId(random: Random, byteCount: number): string {
  for (;;) {
    const id = Buffer.from(random.bytes(byteCount)).toString("hex");
    if (/[^0]/.test(id)) return id;
  }
}
