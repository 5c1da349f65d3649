import type { OutputPiece } from "../common/domain/attempt.ts";
import type { AttemptKey } from "../common/domain/identifier.ts";
import { keyText } from "../common/domain/identifier.ts";
import { Fifo } from "./fifo.ts";
import type { RelayStream } from "./result-relay.ts";

/**
 * Rule 35: output is acknowledged when stored and sent again after Hello. At
 * 256 KiB unacknowledged it waits, so that a heartbeat is never behind more
 * than that; what waits is bounded, and what does not fit is dropped and
 * counted in front of the next piece.
 */

/** Limits of an OutputQueue, in bytes. */
export type OutputQueueConfig = { readonly maxUnackedOutputBytes: number; readonly maxWaitingOutputBytes: number };

/** Bytes that a piece counts for beside its data. */
const FIXED_BYTES = 200;
/** Above this part of the bound a writer that can wait is asked to. */
const HOLD_BACK = 0.25;

type Entry = { readonly piece: OutputPiece; readonly bytes: number; acked: boolean; onItsWay: boolean };

/** OutputQueue holds pieces of output until the store has them. */
export class OutputQueue {
  readonly #config: OutputQueueConfig;
  /** Sent on this stream, in order. */
  #sent = new Fifo<Entry>();
  #waiting = new Fifo<Entry>();
  #unackedBytes = 0;
  #waitingBytes = 0;
  #stream: RelayStream | null = null;
  /** Writers that hold back. */
  #writers: (() => void)[] = [];
  /** Up to which piece of each attempt output is stored, while pieces of it are here. */
  readonly #pieces = new Map<string, Entry[]>();

  constructor(config: OutputQueueConfig) {
    this.#config = config;
  }

  /** Bytes that are not stored. */
  get bytes(): number {
    return this.#unackedBytes + this.#waitingBytes;
  }

  /** True when a piece of so many bytes still fits. */
  fits(dataBytes: number): boolean {
    return this.bytes + dataBytes + FIXED_BYTES <= this.#config.maxWaitingOutputBytes;
  }

  /** Takes a piece, which has to fit. A promise asks the writer to hold the next one back until it resolves. */
  add(piece: OutputPiece): Promise<void> | undefined {
    const entry = { piece, bytes: piece.data.length + FIXED_BYTES, acked: false, onItsWay: false };
    this.#waiting.push(entry);
    this.#waitingBytes += entry.bytes;
    const text = keyText(piece.key);
    const pieces = this.#pieces.get(text);
    if (pieces === undefined) this.#pieces.set(text, [entry]);
    else pieces.push(entry);
    if (!this.#crowded) return undefined;
    return new Promise((resolve) => this.#writers.push(resolve));
  }

  /** A session stands: everything that is not stored is sent on it. */
  sessionOpened(stream: RelayStream): void {
    this.sessionClosed();
    this.#stream = stream;
    this.pump();
  }

  /** The session is over: what it took and did not acknowledge waits again. */
  sessionClosed(): void {
    const again = new Fifo<Entry>();
    for (const queue of [this.#sent, this.#waiting]) {
      for (const entry of queue) {
        entry.onItsWay = false;
        if (!entry.acked) again.push(entry);
      }
    }
    this.#waiting = again;
    this.#waitingBytes += this.#unackedBytes;
    this.#unackedBytes = 0;
    this.#sent = new Fifo();
    this.#stream = null;
  }

  /** Sends what waits, while the stream and the window have room. */
  pump(): void {
    while (this.#stream !== null && this.#unackedBytes < this.#config.maxUnackedOutputBytes) {
      const entry = this.#waiting.shift();
      if (entry === undefined) return;
      if (entry.acked) continue;
      entry.onItsWay = true;
      this.#waitingBytes -= entry.bytes;
      this.#unackedBytes += entry.bytes;
      this.#sent.push(entry);
      if (!this.#stream.send([{ kind: "output", piece: entry.piece }])) return;
    }
  }

  /** OutputAck: an attempt's output is stored up to a piece. */
  acknowledged(key: AttemptKey, sequence: number): void {
    const text = keyText(key);
    const pieces = this.#pieces.get(text);
    if (pieces === undefined) return;
    let stored = 0;
    while (stored < pieces.length && (pieces[stored]?.piece.sequence ?? 0) <= sequence) {
      const entry = pieces[stored++];
      if (entry !== undefined) this.#stored(entry);
    }
    if (stored === pieces.length) this.#pieces.delete(text);
    else pieces.splice(0, stored);
    for (let first = this.#sent.peek(); first?.acked === true; first = this.#sent.peek()) this.#sent.shift();
    this.pump();
    if (!this.#crowded) for (const resolve of this.#writers.splice(0)) resolve();
  }

  /** One that waits to be sent again may be stored from the stream before. */
  #stored(entry: Entry): void {
    entry.acked = true;
    if (entry.onItsWay) this.#unackedBytes -= entry.bytes;
    else this.#waitingBytes -= entry.bytes;
  }

  get #crowded(): boolean {
    return this.#waitingBytes > this.#config.maxWaitingOutputBytes * HOLD_BACK;
  }
}
