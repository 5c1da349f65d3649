/** The record outside the mesh: what really ran, from when to when, and every span that somebody began. */
import { CarriedSpan } from "../../services/common/telemetry/carried-span.ts";
import {
  formatTraceparent,
  newId,
  newTraceparent,
  parseTraceparent,
} from "../../services/common/telemetry/traceparent.ts";
import type { ActiveSpan, Attributes, SpanOptions, Tracing } from "../../services/common/telemetry/tracing.ts";
import type { History } from "./history.ts";
import type { SeededRandom } from "./random.ts";
import type { Timeline } from "./timeline.ts";

/** One run of a target: a handler that was called, a command that was forked. */
export type Run = {
  readonly executionId: string;
  readonly attempt: number;
  /** Node that ran it, and the name of its process then. */
  readonly node: string;
  readonly process: string;
  /** A handler lives and stands still with its process, a command does not. */
  readonly kind: "handler" | "command";
  readonly startMs: number;
  /** Of a command: how far off mesh time was when its executor asked for it; it starts a moment later. */
  readonly askedErrorMs?: number;
  /** What the templates of its target became; undefined where it has none. */
  readonly filled?: string;
  /** What it wrote so far. */
  readonly lines: string[];
  endMs: number | null;
  how: RunEnd | null;
};
/** How a run ended: by itself, well or not, because it was told to, or with its process. */
export type RunEnd = "succeeded" | "failed" | "stopped" | "died";

/** Who listens. */
export type RecordEvents = { started(run: Run): void; ended(run: Run): void };

/** OutsideRecord is written by what really runs. */
export class OutsideRecord {
  readonly runs: Run[] = [];
  /** When the last one ended. */
  lastEndMs = 0;
  readonly #timeline: Timeline;
  readonly #history: History;
  readonly #byExecution = new Map<string, Run[]>();
  readonly listeners: RecordEvents[] = [];

  constructor(timeline: Timeline, history: History) {
    this.#timeline = timeline;
    this.#history = history;
  }

  /** Runs of an execution, first to last. */
  of(executionId: string): readonly Run[] {
    return this.#byExecution.get(executionId) ?? [];
  }

  start(begun: Omit<Run, "startMs" | "lines" | "endMs" | "how">): Run {
    const { executionId, attempt, process } = begun;
    const run: Run = { ...begun, startMs: this.#timeline.nowMs, lines: [], endMs: null, how: null };
    this.#history.note(process, `runs ${executionId} ${attempt}`);
    for (const listener of this.listeners) listener.started(run);
    this.runs.push(run);
    const own = this.#byExecution.get(executionId);
    if (own === undefined) this.#byExecution.set(executionId, [run]);
    else own.push(run);
    return run;
  }

  end(run: Run, how: RunEnd): void {
    if (run.endMs !== null) return;
    run.endMs = this.#timeline.nowMs;
    run.how = how;
    this.lastEndMs = this.#timeline.nowMs;
    this.#history.note(run.process, `ran ${run.executionId} ${run.attempt}: ${how}`);
    for (const listener of this.listeners) listener.ended(run);
  }
}

/** A span that was begun. */
export type SimSpan = {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string | null;
  readonly attributes: Record<string, unknown>;
  isEnded: boolean;
};

/** SimTracing records every span of every process. */
export class SimTracing implements Tracing {
  readonly enabled = true;
  readonly spans: SimSpan[] = [];
  readonly #random: SeededRandom;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  /** As OpenTelemetry's sampler that takes all. */
  records(traceparent: string): boolean {
    return parseTraceparent(traceparent) !== null;
  }

  startSpan(name: string, { parent, tracestate, attributes }: SpanOptions): ActiveSpan {
    const given = parseTraceparent(parent) ?? parseTraceparent(newTraceparent(this.#random));
    if (given === null) throw new Error("a new trace has a context");
    const spanId = newId(this.#random, 8);
    const parentId = parseTraceparent(parent) === null ? null : given.spanId;
    const span: SimSpan = {
      name,
      traceId: given.traceId,
      spanId,
      parentId,
      attributes: { ...attributes },
      isEnded: false,
    };
    this.spans.push(span);
    const carried = new CarriedSpan(formatTraceparent({ ...given, spanId }), tracestate ?? null);
    return {
      traceparent: carried.traceparent,
      tracestate: carried.tracestate,
      recording: true,
      set: (more: Attributes) => void Object.assign(span.attributes, more),
      end: () => {
        span.isEnded = true;
      },
    };
  }

  async stop(): Promise<void> {}
}
