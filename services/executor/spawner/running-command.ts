import { MAX_OUTPUT_TAIL_BYTES } from "../../common/domain/attempt.ts";
import type { CommandIo, CommandOutcome, CommandResult, OutputStream, RunningCommand } from "./command-spec.ts";
import type { EndedFrame, StartedFrame } from "./messages.ts";
import { renderTail } from "./tail.ts";

/** What a running command needs from its spawner. */
export interface RunningCommandDeps {
  /** Asks the spawner process to stop it. */
  stop(reason: string): void;
  /** Resolves after a while: how long a slow consumer may hold up the result. */
  flushTimeout(signal: AbortSignal): Promise<void>;
  /** Bytes of output that wait for a slow consumer; more are dropped. */
  readonly maxPendingBytes: number;
  /** Wall-clock time in µs. */
  wallUs(): number;
}

interface Piece {
  readonly stream: OutputStream;
  readonly data: Buffer;
  readonly dropped: number;
}

/** PendingCommand is a command as the executor sees it: it hands on output and settles the result. */
export class PendingCommand implements RunningCommand {
  readonly result: Promise<CommandResult>;
  readonly #deps: RunningCommandDeps;
  readonly #io: CommandIo;
  readonly #resolve: (result: CommandResult) => void;
  readonly #onAbort = (): void => this.stop(reasonText(this.#io.signal?.reason));
  readonly #waiting: Piece[] = [];
  readonly #dropped = { stdout: 0, stderr: 0 };
  #waitingBytes = 0;
  #droppedBytes = 0;
  #delivery: Promise<void> | undefined;
  #startUs: number;
  #processId: number | undefined;
  #stopReason: string | undefined;
  #ended = false;

  constructor(deps: RunningCommandDeps, io: CommandIo) {
    this.#deps = deps;
    this.#io = io;
    this.#startUs = deps.wallUs();
    const { promise, resolve } = Promise.withResolvers<CommandResult>();
    this.result = promise;
    this.#resolve = resolve;
    io.signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** Why its caller stopped it, when it did. */
  get stopReason(): string | undefined {
    return this.#stopReason;
  }

  /** Whether its end is known; the result follows when its output was handed on. */
  get ended(): boolean {
    return this.#ended;
  }

  stop(reason: string): void {
    if (this.#ended || this.#stopReason !== undefined) return;
    this.#stopReason = reason;
    this.#deps.stop(reason);
  }

  /** The spawner says that it runs. */
  onStarted(started: StartedFrame): void {
    this.#startUs = started.startUs;
    this.#processId = started.pid;
    this.#io.onStart?.(started.startUs, started.pid);
  }

  /** The spawner sends a piece of output. */
  onOutput(stream: OutputStream, data: Buffer, droppedBefore: number): void {
    this.#droppedBytes += droppedBefore;
    this.#dropped[stream] += droppedBefore;
    if (this.#delivery === undefined) {
      this.#deliver(stream, data);
    } else if (this.#waitingBytes + data.length > this.#deps.maxPendingBytes) {
      this.#droppedBytes += data.length;
      this.#dropped[stream] += data.length;
    } else {
      this.#waiting.push({ stream, data, dropped: this.#dropped[stream] });
      this.#dropped[stream] = 0;
      this.#waitingBytes += data.length;
    }
  }

  /** The spawner says how it ended. */
  onEnded(ended: EndedFrame, tails: Buffer): void {
    this.#startUs = ended.startUs;
    this.#processId = ended.pid ?? undefined;
    this.#droppedBytes += ended.droppedBytes;
    this.#finish(ended.outcome, ended.exitCode ?? undefined, ended.endUs, {
      stdout: renderTail(tails.subarray(0, ended.stdoutTailBytes), MAX_OUTPUT_TAIL_BYTES),
      stderr: renderTail(tails.subarray(ended.stdoutTailBytes), MAX_OUTPUT_TAIL_BYTES),
    });
  }

  /** Ends it without its spawner's word. */
  end(outcome: CommandOutcome): void {
    this.#finish(outcome, undefined, Math.max(this.#deps.wallUs(), this.#startUs), { stdout: "", stderr: "" });
  }

  #finish(
    outcome: CommandOutcome,
    exitCode: number | undefined,
    endUs: number,
    tails: Record<OutputStream, string>,
  ): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#io.signal?.removeEventListener("abort", this.#onAbort);
    const settle = (): void =>
      this.#resolve({
        outcome,
        exitCode,
        processId: this.#processId,
        startUs: this.#startUs,
        endUs,
        stdoutTail: tails.stdout,
        stderrTail: tails.stderr,
        droppedBytes: this.#droppedBytes,
      });
    if (this.#delivery === undefined) settle();
    else this.#flush(this.#delivery).then(settle, settle);
  }

  /** Waits for a slow consumer, but not for ever; what it has not taken by then is dropped. */
  async #flush(delivery: Promise<void>): Promise<void> {
    const delivered = new AbortController();
    await Promise.race([delivery, this.#deps.flushTimeout(delivered.signal)]);
    delivered.abort();
    this.#droppedBytes += this.#waitingBytes;
    this.#waiting.length = 0;
    this.#waitingBytes = 0;
  }

  #deliver(stream: OutputStream, data: Buffer): void {
    const dropped = this.#dropped[stream];
    this.#dropped[stream] = 0;
    const taken = this.#io.onOutput(stream, data, dropped);
    if (taken === undefined) return;
    this.#delivery = this.#drain(taken).finally(() => {
      this.#delivery = undefined;
    });
  }

  async #drain(first: Promise<void>): Promise<void> {
    await first;
    for (let piece = this.#waiting.shift(); piece !== undefined; piece = this.#waiting.shift()) {
      this.#waitingBytes -= piece.data.length;
      await this.#io.onOutput(piece.stream, piece.data, piece.dropped);
    }
  }
}

/** An abort's reason as the outcome carries it. */
export function reasonText(reason: unknown): string {
  if (reason instanceof Error) return reason.name === "AbortError" ? "aborted" : reason.message;
  return typeof reason === "string" ? reason : "aborted";
}
