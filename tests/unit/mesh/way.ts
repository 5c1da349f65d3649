/** A way that can be cut: while it is, what is said waits, as in a connection whose packets get lost. */
export class Way {
  #cut = false;
  readonly #waiting: (() => void)[] = [];

  get cut(): boolean {
    return this.#cut;
  }

  set cut(cut: boolean) {
    this.#cut = cut;
    if (!cut) for (const say of this.#waiting.splice(0)) say();
  }

  pass(say: () => void): void {
    if (this.#cut) this.#waiting.push(say);
    else say();
  }
}

/** Hints are lost here: they cost time, never truth. */
export function silentStream() {
  return {
    buffered: 0,
    closed: false,
    ready: async () => {},
    send: () => true,
    onMessage: () => {},
    onEnd: () => {},
    onClosed: () => {},
    onDrain: () => {},
    pause: () => {},
    resume: () => {},
    end: () => {},
    fail: () => {},
  };
}
