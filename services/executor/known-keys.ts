import type { AttemptKey } from "../common/domain/identifier.ts";
import { Fifo } from "./fifo.ts";
import type { KeptResult } from "./kept-result.ts";
import type { RunningAttempt } from "./running-attempt.ts";

/**
 * Rule 17: once under a key. An executor remembers a key until 10 s after its
 * result is stored, then the newest 100,000, and H, the highest dispatch time
 * among those forgotten. An unknown key from before H may be one of those: it
 * is not run and comes back NOT_STARTED. Had it run, the store would have had
 * its result for 10 s, and the answer would find the attempt ended.
 */

/** KnownKey is one attempt that came to this executor, from the first word of it to being forgotten. */
export class KnownKey {
  readonly key: AttemptKey;
  readonly text: string;
  /** By mesh time; for a key known only from a stop, when the stop came. */
  readonly dispatchUs: number;
  /** The session under which it was counted last, and whether its capability was too (rule 20). */
  session = 0;
  capabilityCounted = false;
  running: RunningAttempt | null = null;
  kept: KeptResult | null = null;
  storedMs = 0;

  constructor(key: AttemptKey, text: string, dispatchUs: number) {
    this.key = key;
    this.text = text;
    this.dispatchUs = dispatchUs;
  }
}

/** Limits of KnownKeys. */
export type KnownKeysConfig = { readonly rememberMs: number; readonly maxRememberedKeys: number };

/** KnownKeys is every key that this process may still hear of. */
export class KnownKeys {
  readonly #config: KnownKeysConfig;
  readonly #byText = new Map<string, KnownKey>();
  /** Those whose result is stored, in that order. */
  readonly #stored = new Fifo<KnownKey>();
  #forgottenUs = Number.NEGATIVE_INFINITY;

  constructor(config: KnownKeysConfig) {
    this.#config = config;
  }

  /** H: keys dispatched up to then may have been forgotten. */
  get forgottenUs(): number {
    return this.#forgottenUs;
  }

  get size(): number {
    return this.#byText.size;
  }

  get(text: string): KnownKey | undefined {
    return this.#byText.get(text);
  }

  add(key: AttemptKey, text: string, dispatchUs: number): KnownKey {
    const known = new KnownKey(key, text, dispatchUs);
    this.#byText.set(text, known);
    return known;
  }

  /** Its result is stored, or it has none to be stored. */
  stored(known: KnownKey, nowMs: number): void {
    known.running = null;
    known.kept = null;
    known.storedMs = nowMs;
    this.#stored.push(known);
    this.#forget(nowMs);
  }

  #forget(nowMs: number): void {
    const limitMs = nowMs - this.#config.rememberMs;
    while (this.#stored.size > this.#config.maxRememberedKeys) {
      const oldest = this.#stored.peek();
      if (oldest === undefined || oldest.storedMs > limitMs) return;
      this.#stored.shift();
      this.#byText.delete(oldest.text);
      if (oldest.dispatchUs > this.#forgottenUs) this.#forgottenUs = oldest.dispatchUs;
    }
  }
}
