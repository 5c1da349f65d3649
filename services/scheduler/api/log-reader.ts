import { isUtf8 } from "node:buffer";
import type { ReadLogsRequest, ReadLogsResponse } from "../../../gen/jobmesh/v1/execution_service.ts";
import type { OutputPiece } from "../../common/domain/attempt.ts";
import { isFinal } from "../../common/domain/execution.ts";
import { JobmeshError } from "../../common/error/jobmesh-error.ts";
import type { Clock } from "../../common/port/clock.ts";
import type { Store } from "../../common/port/store.ts";
import type { CallContext, SendStream } from "../../common/rpc/contract.ts";
import { asBuffer, levelToMessage, streamToMessage } from "../../common/wire/output.ts";
import { timestampOfUs } from "../../common/wire/time.ts";
import type { Hints } from "../hints.ts";
import { existing } from "./execution-lookup.ts";
import { type LogRequest, readLogRequest } from "./log-request.ts";
import { findTail, type TailCut } from "./log-tail.ts";
import { OutputNews } from "./output-news.ts";

/** Bytes read from the store at once. */
const READ_BYTES = 512 * 1024;
/** Time between two looks at the store while a log is followed; hints make most of them needless. */
const FOLLOW_INTERVAL_MS = 250;
/** Rule 35: how long a log whose attempt has ended may miss pieces before it is said. */
const MISSING_PATIENCE_MS = 5_000;
/** Logs that are read at once on one scheduler: each that follows looks at the store four times a second. */
const MAX_READERS = 1_000;
/** Incomplete attempts that an error names. */
const MAX_NAMED_ATTEMPTS = 10;

/** What reading logs needs. */
export type LogDeps = {
  readonly store: Store;
  readonly hints: Hints;
  readonly clock: Clock;
  /** Logs that are read at once; one more is refused. Default 1,000. */
  readonly maxReaders?: number;
};

/**
 * LogReader serves ReadLogs: an attempt's output from its start, and on while
 * it runs when asked to follow, and on over retries when asked to go on until
 * the execution has ended. The log of an attempt that has ended is whole, or
 * the stream ends with LOG_INCOMPLETE (rule 35).
 */
export class LogReader {
  readonly #deps: LogDeps;
  readonly #maxReaders: number;
  #readers = 0;

  constructor(deps: LogDeps) {
    this.#deps = deps;
    this.#maxReaders = deps.maxReaders ?? MAX_READERS;
  }

  /** Sends the log; resolves when there is no more of it. Throws OVERLOADED when too many read already. */
  async open(request: ReadLogsRequest, stream: SendStream<ReadLogsResponse>, context: CallContext): Promise<void> {
    const wanted = readLogRequest(request);
    if (this.#readers >= this.#maxReaders) {
      throw new JobmeshError("OVERLOADED", {
        message: `${this.#maxReaders} logs are read already`,
        retryDelayMs: 1_000,
      });
    }
    this.#readers += 1;
    const news = new OutputNews(this.#deps, wanted.executionId);
    try {
      await new LogReading(this.#deps, wanted, stream, context).run(news);
    } finally {
      news.stop();
      this.#readers -= 1;
    }
  }
}

type Completeness = { readonly written: number; readonly stored: number } | null;

/** One call of ReadLogs, and how far it is. */
class LogReading {
  readonly #deps: LogDeps;
  readonly #wanted: LogRequest;
  readonly #stream: SendStream<ReadLogsResponse>;
  readonly #context: CallContext;
  #attempt = 0;
  #afterSequence = 0;
  #cut: TailCut | null = null;
  /** How long the attempt has ended and lacks pieces. */
  #endedForMs = 0;
  /** The execution was seen to have ended while the attempt had not. */
  #sawEnd = false;
  readonly #missing: string[] = [];

  constructor(deps: LogDeps, wanted: LogRequest, stream: SendStream<ReadLogsResponse>, context: CallContext) {
    this.#deps = deps;
    this.#wanted = wanted;
    this.#stream = stream;
    this.#context = context;
  }

  async run(news: OutputNews): Promise<void> {
    const { store, clock } = this.#deps;
    const { signal, stopping } = this.#context;
    const waiting = AbortSignal.any([signal, stopping]);
    await this.#begin();
    while (!signal.aborted) {
      // Read before the pieces: those that it counts are sent when it says that all are there.
      const completeness = await store.output.completeness(this.#wanted.executionId, this.#attempt);
      await this.#sendStored();
      if (signal.aborted) return;
      const next = await this.#next(completeness);
      if (next === "over") return this.#over();
      if (next === "again") continue;
      // An OK would say that the log is whole; the reader goes on elsewhere after the last piece that it has.
      if (stopping.aborted) throw new JobmeshError("SHUTTING_DOWN");
      const sinceMs = clock.monotonicMs();
      await news.wait(FOLLOW_INTERVAL_MS, waiting);
      if (completeness !== null) this.#endedForMs += clock.monotonicMs() - sinceMs;
    }
  }

  /** Finds the place of the first piece. */
  async #begin(): Promise<void> {
    const { store } = this.#deps;
    const { executionId, attempt, untilEnded, tailLines, afterSequence, streams } = this.#wanted;
    const execution = await existing(store, executionId);
    if (attempt > execution.attempt) {
      throw new JobmeshError("ATTEMPT_NOT_FOUND", { message: `the execution has ${execution.attempt} attempts` });
    }
    // The log of one that waits for its first attempt begins with that.
    this.#attempt = attempt === 0 ? Math.max(execution.attempt, 1) : attempt;
    this.#afterSequence = afterSequence;
    if (tailLines === 0) return;
    // What is there: with until_ended that is the output of the attempts after it, too.
    const last = untilEnded ? Math.max(execution.attempt, this.#attempt) : this.#attempt;
    const query = { executionId, streams, afterSequence, first: this.#attempt, last, lines: tailLines };
    const tail = await findTail(store.output, query, this.#context.signal);
    if (tail.attempt !== this.#attempt) this.#goTo(tail.attempt);
    this.#cut = tail.cut;
    this.#afterSequence = Math.max(this.#afterSequence, tail.cut?.skippedSequence ?? 0);
  }

  #goTo(attempt: number): void {
    this.#attempt = attempt;
    this.#afterSequence = 0;
    this.#cut = null;
    this.#endedForMs = 0;
    this.#sawEnd = false;
  }

  /** Sends what is stored after the last piece that was sent. */
  async #sendStored(): Promise<void> {
    const { executionId, streams } = this.#wanted;
    for (;;) {
      const place = { executionId, attempt: this.#attempt, afterSequence: this.#afterSequence, streams };
      const pieces = await this.#deps.store.output.read({ ...place, maxBytes: READ_BYTES });
      if (pieces.length === 0 || this.#context.signal.aborted) return;
      for (const piece of pieces) {
        const shown = this.#cut === null ? piece : this.#cut.shown(piece);
        if (shown !== null && !this.#stream.send(pieceToMessage(shown))) await this.#stream.ready();
        this.#afterSequence = piece.sequence;
      }
    }
  }

  /** What follows: the log is over, there is more to read now, or it is waited for. */
  async #next(completeness: Completeness): Promise<"over" | "again" | "wait"> {
    const { follow, untilEnded } = this.#wanted;
    if (completeness === null) return follow || untilEnded ? await this.#nextOfRunning() : "over";
    const lacking = completeness.written - completeness.stored;
    if (lacking > 0 && this.#endedForMs < MISSING_PATIENCE_MS) return "wait";
    if (!untilEnded) {
      if (lacking > 0) this.#missing.push(`${lacking} of ${completeness.written} pieces never arrived`);
      return "over";
    }
    const then = await this.#afterAttempt();
    if (then === "wait") return "wait";
    if (lacking > 0) {
      this.#missing.push(`attempt ${this.#attempt}: ${lacking} of ${completeness.written} pieces never arrived`);
    }
    if (then === "again") this.#goTo(this.#attempt + 1);
    return then;
  }

  /** Whether an attempt that has ended is followed by another. */
  async #afterAttempt(): Promise<"over" | "again" | "wait"> {
    const { executions, output } = this.#deps.store;
    const { executionId } = this.#wanted;
    const [found] = await executions.states([executionId]);
    if (found === undefined) return "over";
    // Read after the state: of a final one every attempt is there.
    const following = await output.completeness(executionId, this.#attempt + 1);
    if (following !== null || found.state === "DISPATCHED" || found.state === "RUNNING") return "again";
    return isFinal(found.state) ? "over" : "wait";
  }

  /** An attempt that has not ended, or never will: the execution ended without it. */
  async #nextOfRunning(): Promise<"over" | "again" | "wait"> {
    const [found] = await this.#deps.store.executions.states([this.#wanted.executionId]);
    if (found !== undefined && !isFinal(found.state)) return "wait";
    // It may have ended, and its execution with it, since it was looked at.
    if (this.#sawEnd) return "over";
    this.#sawEnd = true;
    return "again";
  }

  #over(): void {
    if (this.#missing.length === 0) return;
    const more = this.#missing.length - MAX_NAMED_ATTEMPTS;
    const named = this.#missing.slice(0, MAX_NAMED_ATTEMPTS).join("; ");
    throw new JobmeshError("LOG_INCOMPLETE", { message: more > 0 ? `${named}; and of ${more} more attempts` : named });
  }
}

/** A piece as the contract shows it: text where it is UTF-8, bytes where it is not. */
function pieceToMessage(piece: OutputPiece): ReadLogsResponse {
  const bytes = asBuffer(piece.data);
  return {
    attempt: piece.key.attempt,
    stream: streamToMessage(piece.stream),
    content: isUtf8(bytes) ? { $case: "text", value: bytes.toString("utf8") } : { $case: "data", value: bytes },
    time: timestampOfUs(piece.timeUs),
    droppedBytes: BigInt(piece.droppedBytes),
    sequence: BigInt(piece.sequence),
    level: levelToMessage(piece.level),
    fieldsJson: piece.fieldsJson,
    spanId: piece.spanId,
  };
}
