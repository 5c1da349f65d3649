import type { Counter } from "./metrics.ts";

/** Counters of one metric by the value of their label, each bound at its first use. */
export class LabelledCounter<Label extends string> {
  readonly #bind: (label: Label) => Counter;
  readonly #counters = new Map<Label, Counter>();

  constructor(bind: (label: Label) => Counter) {
    this.#bind = bind;
  }

  /** Adds an amount of 0 or more; with 0 the series shows from then on. */
  add(label: Label, amount: number): void {
    let counter = this.#counters.get(label);
    if (counter === undefined) {
      counter = this.#bind(label);
      this.#counters.set(label, counter);
    }
    counter.add(amount);
  }
}
