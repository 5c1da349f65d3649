import { type AttemptKey, keyText } from "../../common/domain/identifier.ts";

/**
 * Tells an executor how far the output of its attempts is stored (rule 35):
 * pieces that were stored together are acknowledged by the last of each
 * attempt alone.
 */
export class OutputAcks {
  readonly #send: (key: AttemptKey, sequence: number) => void;
  readonly #stored = new Map<string, { readonly key: AttemptKey; readonly sequence: number }>();

  constructor(send: (key: AttemptKey, sequence: number) => void) {
    this.#send = send;
  }

  /** A piece is in the store, and so are those before it. */
  stored(key: AttemptKey, sequence: number): void {
    if (this.#stored.size === 0) queueMicrotask(() => this.#flush());
    this.#stored.set(keyText(key), { key, sequence });
  }

  #flush(): void {
    for (const { key, sequence } of this.#stored.values()) this.#send(key, sequence);
    this.#stored.clear();
  }
}
