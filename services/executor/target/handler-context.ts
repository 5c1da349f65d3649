import { MAX_PROGRESS_MESSAGE_CHARS, type OutputLevel } from "../../common/domain/attempt.ts";
import { parameterMap } from "../../common/domain/parameter.ts";
import { storableText } from "../../common/domain/storable-text.ts";
import type { RunningAttempt } from "../running-attempt.ts";

/** Fields beside a line: anything that JSON can say. */
export type HandlerFields = Readonly<Record<string, unknown>>;

/** Lines of an attempt, kept in its log. */
export interface HandlerLog {
  debug(message: string, fields?: HandlerFields): void;
  info(message: string, fields?: HandlerFields): void;
  warn(message: string, fields?: HandlerFields): void;
  error(message: string, fields?: HandlerFields): void;
}

/** HandlerContext is what a handler is told of its attempt beside the request. */
export interface HandlerContext {
  /** Aborts when the attempt has to end: its timeout passed, a caller cancelled it, or the executor leaves. */
  readonly signal: AbortSignal;
  readonly executionId: string;
  /** From 1. */
  readonly attempt: number;
  /** Attempts in all that its policy allows. */
  readonly maxAttempts: number;
  /** Nominal time of the execution. */
  readonly scheduledTime: Date;
  /** When the attempt times out. */
  readonly deadline: Date;
  /** The same over all attempts of the execution. */
  readonly idempotencyKey: string;
  readonly namespace: string;
  /** Empty when there is no job. */
  readonly jobId: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Values that the target's templates were filled in with, by name. */
  readonly parameters: Readonly<Record<string, string>>;
  /** W3C trace context of the attempt's span, to be handed to whatever the handler calls; empty when there is none. */
  readonly traceparent: string;
  /** W3C trace state that goes with it. */
  readonly tracestate: string;
  readonly log: HandlerLog;
  /** Says how far it is, 0 to 1, with a few words for a person. */
  progress(fraction: number, message?: string): void;
}

/** The context of a running attempt; nothing in it is made before it is asked for. */
export class AttemptContext implements HandlerContext, HandlerLog {
  readonly #attempt: RunningAttempt;

  constructor(attempt: RunningAttempt) {
    this.#attempt = attempt;
  }

  get signal(): AbortSignal {
    return this.#attempt.signal;
  }

  get executionId(): string {
    return this.#attempt.order.key.executionId;
  }

  get attempt(): number {
    return this.#attempt.order.key.attempt;
  }

  get maxAttempts(): number {
    return this.#attempt.order.maxAttempts;
  }

  get scheduledTime(): Date {
    return new Date(this.#attempt.order.scheduledUs / 1000);
  }

  get deadline(): Date {
    return new Date(this.#attempt.startUs / 1000 + this.#attempt.order.timeoutMs);
  }

  get idempotencyKey(): string {
    return this.#attempt.order.key.executionId;
  }

  get namespace(): string {
    return this.#attempt.order.namespace;
  }

  get jobId(): string {
    return this.#attempt.order.jobId;
  }

  get labels(): Readonly<Record<string, string>> {
    return this.#attempt.order.labels;
  }

  get parameters(): Readonly<Record<string, string>> {
    return parameterMap(this.#attempt.order.parameters);
  }

  get traceparent(): string {
    return this.#attempt.traceparent;
  }

  get tracestate(): string {
    return this.#attempt.order.tracestate;
  }

  get log(): HandlerLog {
    return this;
  }

  progress(fraction: number, message = ""): void {
    const bounded = Math.min(Math.max(Number.isFinite(fraction) ? fraction : 0, 0), 1);
    this.#attempt.progress = { fraction: bounded, message: storableText(message, MAX_PROGRESS_MESSAGE_CHARS) };
  }

  debug(message: string, fields?: HandlerFields): void {
    this.#write("DEBUG", message, fields);
  }

  info(message: string, fields?: HandlerFields): void {
    this.#write("INFO", message, fields);
  }

  warn(message: string, fields?: HandlerFields): void {
    this.#write("WARN", message, fields);
  }

  error(message: string, fields?: HandlerFields): void {
    this.#write("ERROR", message, fields);
  }

  #write(level: OutputLevel, message: string, fields: HandlerFields | undefined): void {
    // A handler's line is dropped and counted where it does not fit; it is never asked to wait.
    void this.#attempt.write({
      stream: "HANDLER",
      data: Buffer.from(message),
      droppedBytes: 0,
      level,
      fieldsJson: fields === undefined ? "" : fieldsJson(fields),
    });
  }
}

/** A field that JSON cannot say must not fail the handler. */
function fieldsJson(fields: HandlerFields): string {
  try {
    return JSON.stringify(fields, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value)) ?? "";
  } catch (error) {
    return JSON.stringify({ fieldsError: error instanceof Error ? error.message : String(error) });
  }
}
