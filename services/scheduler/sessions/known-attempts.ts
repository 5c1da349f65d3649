import { type AttemptKey, keyText } from "../../common/domain/identifier.ts";

/** Rounds of the watch for which a key is remembered that no round has seen current. */
const REMEMBERED_ROUNDS = 3;

/**
 * Attempts that an executor is known to have (rule 19): those of Hello.taken
 * and those it reported as started. A key stays as long as the store has it as
 * current; one that ended is forgotten a few rounds later.
 */
export class KnownAttempts {
  /** Round in which each key was last reported or seen current. */
  readonly #rounds = new Map<string, number>();
  #round = 0;

  get size(): number {
    return this.#rounds.size;
  }

  /** The executor has it. */
  add(key: AttemptKey): void {
    this.#rounds.set(keyText(key), this.#round);
  }

  has(key: AttemptKey): boolean {
    return this.#rounds.has(keyText(key));
  }

  /** The executor has said how it ended. Should that not reach the store, it is asked again. */
  ended(key: AttemptKey): void {
    this.#rounds.delete(keyText(key));
  }

  /** A round of the watch has read these as current. */
  seen(current: Iterable<AttemptKey>): void {
    this.#round += 1;
    for (const key of current) if (this.has(key)) this.#rounds.set(keyText(key), this.#round);
    for (const [text, round] of this.#rounds) {
      if (round <= this.#round - REMEMBERED_ROUNDS) this.#rounds.delete(text);
    }
  }
}
