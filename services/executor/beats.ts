import type { HeartbeatAckMessage, HeartbeatMessage, SlotCount } from "../common/domain/session.ts";
import type { Clock, Timer } from "../common/port/clock.ts";

/**
 * Heartbeats of one stream: at the interval, and at once when room grew, so
 * that a freed slot is known within milliseconds. At most one of those is under
 * way: what frees up meanwhile is said by the next one, when it was answered.
 */

/** How loaded this process is. */
export type ProcessLoad = { readonly cpuLoad: number; readonly memoryBytes: number };

/** What Beats needs. */
export interface BeatsDeps {
  readonly clock: Clock;
  slots(): readonly SlotCount[];
  load(): ProcessLoad;
  send(beat: HeartbeatMessage): void;
}

/** Settings of Beats. */
export type BeatsConfig = { readonly intervalMs: number; readonly gapMs: number };

/** What an acknowledgement tells of this stream, by the monotonic clock. */
export type BeatNews = {
  /** When the acknowledged beat was sent; null when it is not known any more. */
  readonly sentMs: number | null;
  /** When the last beat was sent whose hearing the store has. */
  readonly heardMs: number | null;
};

/** Beats says that the executor lives and how much room it has. */
export class Beats {
  readonly #deps: BeatsDeps;
  readonly #config: BeatsConfig;
  /** When each beat was sent that may still be heard; 0 is Hello. */
  readonly #sentMs = new Map<number, number>();
  #sequence = 0;
  #acknowledged = 0;
  #lastMs = 0;
  #grown = false;
  #interval: Timer | null = null;
  #gap: Timer | null = null;
  #stopped = false;

  /** @param helloMs When Hello was sent. */
  constructor(deps: BeatsDeps, config: BeatsConfig, helloMs: number) {
    this.#deps = deps;
    this.#config = config;
    this.#sentMs.set(0, helloMs);
  }

  /** Sends the first one at once. */
  start(): void {
    this.#beat();
  }

  stop(): void {
    this.#stopped = true;
    this.#interval?.cancel();
    this.#gap?.cancel();
  }

  /** Room grew: says so at once, or when the one under way was answered. */
  roomGrew(): void {
    this.#grown = true;
    this.#beatIfGrown();
  }

  /** HeartbeatAck. */
  acknowledged(ack: HeartbeatAckMessage): BeatNews {
    const news = {
      sentMs: this.#sentMs.get(ack.sequence) ?? null,
      heardMs: this.#sentMs.get(ack.heardSequence) ?? null,
    };
    this.#acknowledged = Math.max(this.#acknowledged, ack.sequence);
    for (const sequence of this.#sentMs.keys()) {
      if (sequence >= Math.min(ack.heardSequence, this.#acknowledged)) break;
      this.#sentMs.delete(sequence);
    }
    this.#beatIfGrown();
    return news;
  }

  #beatIfGrown(): void {
    if (!this.#grown || this.#stopped || this.#gap !== null || this.#acknowledged < this.#sequence) return;
    const leftMs = this.#lastMs + this.#config.gapMs - this.#deps.clock.monotonicMs();
    if (leftMs <= 0) return this.#beat();
    this.#gap = this.#deps.clock.setTimer(leftMs, () => {
      this.#gap = null;
      this.#beatIfGrown();
    });
  }

  #beat(): void {
    const { clock } = this.#deps;
    this.#grown = false;
    this.#sequence++;
    this.#lastMs = clock.monotonicMs();
    this.#sentMs.set(this.#sequence, this.#lastMs);
    this.#interval?.cancel();
    this.#interval = clock.setTimer(this.#config.intervalMs, () => this.#beat());
    this.#deps.send({
      kind: "heartbeat",
      sequence: this.#sequence,
      slots: this.#deps.slots(),
      ...this.#deps.load(),
      sendUs: clock.wallUs(),
    });
  }
}
