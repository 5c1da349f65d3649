import type { CounterName, GaugeName, HistogramName, LabelsOf } from "./metric-names.ts";

/** A counter with its labels bound: an addition is one addition. */
export interface Counter {
  /** Adds an amount of 0 or more. */
  add(amount: number): void;
}

/** A histogram with its labels bound. */
export interface Histogram {
  /** Counts one value, in the unit of the table. */
  record(value: number): void;
}

/**
 * Metrics of a process, by the names of the table and no others. Bind once, at
 * construction, and keep what comes back: looking up is for the start.
 */
export interface Metrics {
  counter<N extends CounterName>(name: N, labels: LabelsOf<N>): Counter;
  histogram<N extends HistogramName>(name: N, labels: LabelsOf<N>): Histogram;
  /** Reads at each scrape; null, and a reader taken away, show as NaN. Returns what takes it away. */
  gauge<N extends GaugeName>(name: N, labels: LabelsOf<N>, read: () => number | null): () => void;
  /** All of it as Prometheus text. */
  render(): Promise<string>;
  /** Lets go of what it holds. */
  stop(): Promise<void>;
}

const nothing = { add: (): void => {}, record: (): void => {} };

/** Metrics that nobody reads. */
export const silentMetrics: Metrics = {
  counter: () => nothing,
  histogram: () => nothing,
  gauge: () => () => {},
  render: () => Promise.resolve(""),
  stop: () => Promise.resolve(),
};
