import { MAX_OUTPUT_PIECE_BYTES } from "../common/domain/attempt.ts";
import type { Clock } from "../common/port/clock.ts";
import type { Counter } from "../common/telemetry/metrics.ts";
import type { OutputQueue } from "./output-queue.ts";
import type { AttemptVoice, OutputWrite, RunningAttempt } from "./running-attempt.ts";

/** Where the span id stands in a traceparent. */
const SPAN_ID_START = 36;
const SPAN_ID_END = 52;

/** What AttemptOutput needs. */
export interface AttemptOutputDeps {
  readonly clock: Clock;
  readonly queue: OutputQueue;
  /** Counts the bytes that are left out. */
  readonly dropped: Counter;
  /** Hears that output waits to be sent. */
  onWaiting(): void;
}

/**
 * AttemptOutput numbers what attempts write and queues it. Rule 35: a result
 * says how many pieces there are, so that a reader knows when a log is whole;
 * what did not fit is counted in front of the next piece.
 */
export class AttemptOutput implements AttemptVoice {
  readonly #deps: AttemptOutputDeps;
  readonly #maxHandlerBytes: number;

  constructor(deps: AttemptOutputDeps, config: { readonly maxHandlerOutputBytes: number }) {
    this.#deps = deps;
    this.#maxHandlerBytes = config.maxHandlerOutputBytes;
  }

  write(attempt: RunningAttempt, write: OutputWrite): Promise<void> | undefined {
    attempt.droppedBytes += write.droppedBytes;
    this.#deps.dropped.add(write.droppedBytes);
    let hold: Promise<void> | undefined;
    for (let at = 0; at === 0 || at < write.data.length; at += MAX_OUTPUT_PIECE_BYTES) {
      const data = write.data.subarray(at, at + MAX_OUTPUT_PIECE_BYTES);
      hold = this.#add(attempt, write, data) ?? hold;
    }
    this.#deps.onWaiting();
    return hold;
  }

  #add(attempt: RunningAttempt, write: OutputWrite, data: Uint8Array): Promise<void> | undefined {
    const bytes = data.length + write.fieldsJson.length;
    // Commands are bounded by their spawner.
    const excess = write.stream === "HANDLER" && attempt.outputBytes + bytes > this.#maxHandlerBytes;
    if (excess || !this.#deps.queue.fits(bytes)) {
      attempt.droppedBytes += data.length;
      this.#deps.dropped.add(data.length);
      return undefined;
    }
    const { droppedBytes } = attempt;
    attempt.outputBytes += bytes;
    attempt.droppedBytes = 0;
    attempt.pieceCount++;
    return this.#deps.queue.add({
      key: attempt.order.key,
      stream: write.stream,
      sequence: attempt.pieceCount,
      data,
      timeUs: this.#deps.clock.wallUs(),
      droppedBytes,
      level: write.level,
      fieldsJson: write.fieldsJson,
      spanId: attempt.traceparent.slice(SPAN_ID_START, SPAN_ID_END),
    });
  }
}
