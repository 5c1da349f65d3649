import type { SessionUp } from "../common/domain/session.ts";
import { Fifo } from "./fifo.ts";
import type { KeptResult } from "./kept-result.ts";

/** Results of one send, so that a full stream is noticed. */
const MAX_BATCH = 256;

/** The session as the relay sees it. */
export interface RelayStream {
  /** Sends now. False says that enough waits. */
  send(messages: readonly SessionUp[]): boolean;
}

/**
 * Results that go by the session: sent in order, sent again on the next stream,
 * until ResultStored frees them. They are numbered from 1 on each stream.
 */
export class ResultRelay {
  readonly #onSent: (kept: KeptResult) => void;
  /** Not sent on this stream yet. */
  #waiting = new Fifo<KeptResult>();
  /** Sent on this stream, in order of their numbers; the first has `#firstSequence`. */
  #sent = new Fifo<KeptResult>();
  #firstSequence = 1;
  #stream: RelayStream | null = null;

  /** @param onSent Hears of each result when it was sent, also again. */
  constructor(onSent: (kept: KeptResult) => void) {
    this.#onSent = onSent;
  }

  /** Takes a result; it is sent by the next pump. One that was sent already is sent once more. */
  add(kept: KeptResult): void {
    if (kept.queued) return;
    kept.relayed = true;
    kept.queued = true;
    this.#waiting.push(kept);
  }

  /** A stream stands: everything that is not stored is sent on it. */
  open(stream: RelayStream): void {
    this.close();
    this.#stream = stream;
  }

  /** The stream is over. */
  close(): void {
    const again = new Fifo<KeptResult>();
    const seen = new Set<KeptResult>();
    for (const queue of [this.#sent, this.#waiting]) {
      for (const kept of queue) {
        if (kept.gone || seen.has(kept)) continue;
        seen.add(kept);
        kept.queued = true;
        again.push(kept);
      }
    }
    this.#waiting = again;
    this.#sent = new Fifo();
    this.#firstSequence = 1;
    this.#stream = null;
  }

  /** Sends what waits while the stream has room. */
  pump(): void {
    while (this.#stream !== null && this.#waiting.size > 0) {
      const batch: SessionUp[] = [];
      while (batch.length < MAX_BATCH) {
        const kept = this.#waiting.shift();
        if (kept === undefined) break;
        kept.queued = false;
        if (kept.gone) continue;
        batch.push({ kind: "result", sequence: this.#firstSequence + this.#sent.size, result: kept.result });
        this.#sent.push(kept);
        this.#onSent(kept);
      }
      if (batch.length === 0 || !this.#stream.send(batch)) return;
    }
  }

  /** ResultStored: those up to this number are stored. */
  stored(sequence: number, forget: (kept: KeptResult) => void): void {
    while (this.#firstSequence <= sequence) {
      const kept = this.#sent.shift();
      if (kept === undefined) return;
      this.#firstSequence++;
      if (!kept.gone) forget(kept);
    }
  }
}
