/** The value below which a share of the sorted values lies; NaN without values. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(Math.floor(sorted.length * share), sorted.length - 1)] ?? Number.NaN;
}

/** p50, p99 and the largest of a set of milliseconds. */
export type Latencies = {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly count: number;
};

/** Sums up milliseconds. */
export function latenciesOf(valuesMs: readonly number[]): Latencies {
  return {
    p50Ms: percentile(valuesMs, 0.5),
    p99Ms: percentile(valuesMs, 0.99),
    maxMs: percentile(valuesMs, 1),
    count: valuesMs.length,
  };
}
