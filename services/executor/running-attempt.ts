import type { OutputLevel, OutputStream } from "../common/domain/attempt.ts";
import type { DispatchOrder } from "../common/domain/dispatch.ts";
import type { StopReason } from "../common/domain/execution.ts";
import type { KnownKey } from "./known-keys.ts";

/** Why a running attempt is told to end. */
export type StopCause =
  /** It ran past its timeout. */
  | { readonly kind: "timeout" }
  /** Its home asked (rule 25). */
  | { readonly kind: "stop"; readonly reason: StopReason; readonly message: string }
  /** The executor leaves; its outcome is CUT_OFF, never FAILED (rule 21). */
  | { readonly kind: "shutdown" }
  /** The incarnation is over; nothing is said of it any more (rule 16). */
  | { readonly kind: "fenced" };

/** A line or piece that a target writes. */
export type OutputWrite = {
  readonly stream: OutputStream;
  readonly data: Uint8Array;
  readonly droppedBytes: number;
  readonly level: OutputLevel;
  readonly fieldsJson: string;
};

/** What an attempt says while it runs. */
export interface AttemptVoice {
  /** Takes a piece of output; a promise asks to hold the next one back. */
  write(attempt: RunningAttempt, write: OutputWrite): void | Promise<void>;
}

/** How far an attempt says it is. */
export type Progress = { readonly fraction: number; readonly message: string };

/**
 * RunningAttempt is an attempt that holds a slot. One object an attempt: what
 * few of them need (a signal, progress) is made when it is asked for.
 */
export class RunningAttempt {
  readonly order: DispatchOrder;
  readonly known: KnownKey;
  /** Place of its capability in the profile. */
  readonly capability: number;
  /** By the executor's wall clock. */
  readonly startUs: number;
  /** By the monotonic clock. */
  readonly startMs: number;
  /** When the executor stops it, by the monotonic clock; infinite where its target keeps the timeout. */
  readonly deadlineMs: number;
  /** What runs: the order's target, with its templates filled in once they are. */
  target: Uint8Array;
  /** W3C trace context of its run. */
  traceparent: string;
  /** Its home heard that it runs. */
  reported = false;
  /** Pieces of output so far. */
  pieceCount = 0;
  /** Bytes of output taken, and left out since the last piece. */
  outputBytes = 0;
  droppedBytes = 0;
  /** The newest that it said, the one that its home heard, and when that was said, by the monotonic clock. */
  progress: Progress | null = null;
  toldProgress: Progress | null = null;
  progressTellMs = Number.NEGATIVE_INFINITY;
  /** When a stopped one should have settled, and whether the log says that it has not. */
  graceEndMs = Number.POSITIVE_INFINITY;
  warned = false;
  readonly #voice: AttemptVoice;
  #cause: StopCause | null = null;
  #controller: AbortController | null = null;

  constructor(
    voice: AttemptVoice,
    known: KnownKey,
    order: DispatchOrder,
    capability: number,
    start: { readonly us: number; readonly ms: number; readonly keepsTimeout: boolean },
  ) {
    this.#voice = voice;
    this.known = known;
    this.order = order;
    this.capability = capability;
    this.startUs = start.us;
    this.startMs = start.ms;
    this.deadlineMs = start.keepsTimeout ? Number.POSITIVE_INFINITY : start.ms + order.timeoutMs;
    this.target = order.target.bytes;
    this.traceparent = order.traceparent;
  }

  /** Why it was told to end; null while it was not. */
  get cause(): StopCause | null {
    return this.#cause;
  }

  /** Aborts when it has to end. Its reason is a text: TIMEOUT, CANCEL, REROUTE, SHUTDOWN, FENCED. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#cause !== null && !this.#controller.signal.aborted) this.#controller.abort(abortReason(this.#cause));
    return this.#controller.signal;
  }

  /** Tells it to end. The first cause stands, but being fenced is stronger: then nobody wants to know. */
  stop(cause: StopCause, graceEndMs: number): void {
    if (this.#cause !== null && cause.kind !== "fenced") return;
    this.#cause = cause;
    this.graceEndMs = Math.min(this.graceEndMs, graceEndMs);
    this.#controller?.abort(abortReason(cause));
  }

  /** Writes output. */
  write(write: OutputWrite): void | Promise<void> {
    return this.#voice.write(this, write);
  }
}

/** What a target reads of a cause. PAUSED and SUPERSEDED are no wish of a caller: it comes back, as under REROUTE. */
function abortReason(cause: StopCause): string {
  switch (cause.kind) {
    case "timeout":
      return "TIMEOUT";
    case "stop":
      return cause.reason === "PAUSED" || cause.reason === "SUPERSEDED" ? "REROUTE" : cause.reason;
    case "shutdown":
      return "SHUTDOWN";
    case "fenced":
      return "FENCED";
  }
}
