import type { Meter, ObservableResult, Histogram as SdkHistogram } from "@opentelemetry/api";
import { PrometheusExporter, PrometheusSerializer } from "@opentelemetry/exporter-prometheus";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import { type CounterName, type GaugeName, type HistogramName, METRICS, type MetricName } from "./metric-names.ts";
import type { Counter, Histogram, Metrics } from "./metrics.ts";

/** Label sets of one metric; those past it are counted together, so that a bad label cannot eat the memory. */
export const MAX_SERIES = 1_000;

type Labels = Readonly<Record<string, string>>;

/**
 * Metrics by the OpenTelemetry SDK, rendered as Prometheus text. Counters are
 * plain numbers that the SDK reads at a scrape: an addition on the hot path costs
 * nothing of it.
 */
export class SdkMetrics implements Metrics {
  readonly #reader = new PrometheusExporter({ preventServerStart: true });
  readonly #serializer = new PrometheusSerializer(undefined, false, undefined, false, true);
  readonly #provider: MeterProvider;
  readonly #meter: Meter;
  readonly #counters = new Map<CounterName, SeriesSet<CountedSeries>>();
  readonly #gauges = new Map<GaugeName, SeriesSet<GaugeSeries>>();
  readonly #histograms = new Map<HistogramName, SeriesSet<HistogramSeries>>();

  constructor(process: { readonly serviceName: string; readonly instanceId: string; readonly version: string }) {
    const resource = resourceFromAttributes({
      "service.name": process.serviceName,
      "service.instance.id": process.instanceId,
      "service.version": process.version,
    });
    this.#provider = new MeterProvider({ resource, readers: [this.#reader] });
    this.#meter = this.#provider.getMeter("jobmesh");
  }

  counter(name: CounterName, labels: Labels): Counter {
    const set = getOrMake(this.#counters, name, () => {
      const made = new SeriesSet(name, (bound) => new CountedSeries(bound));
      const { meaning: description, unit } = METRICS[name];
      const instrument = this.#meter.createObservableCounter(name, { description, unit });
      instrument.addCallback((result) => made.each((series) => result.observe(series.total, series.labels)));
      return made;
    });
    return set.get(labels);
  }

  histogram(name: HistogramName, labels: Labels): Histogram {
    const set = getOrMake(this.#histograms, name, () => {
      const { meaning: description, unit, buckets } = METRICS[name];
      const advice = { explicitBucketBoundaries: [...buckets] };
      const instrument = this.#meter.createHistogram(name, { description, unit, advice });
      return new SeriesSet(name, (bound) => new HistogramSeries(instrument, bound));
    });
    return set.get(labels);
  }

  gauge(name: GaugeName, labels: Labels, read: () => number | null): () => void {
    const set = getOrMake(this.#gauges, name, () => {
      const made = new SeriesSet(name, (bound) => new GaugeSeries(bound));
      const { meaning: description, unit } = METRICS[name];
      this.#meter
        .createObservableGauge(name, { description, unit })
        .addCallback((result) => made.each((series) => series.observe(result)));
      return made;
    });
    return set.get(labels).use(read);
  }

  async render(): Promise<string> {
    const { resourceMetrics } = await this.#reader.collect();
    return this.#serializer.serialize(resourceMetrics);
  }

  async stop(): Promise<void> {
    await this.#provider.shutdown();
  }
}

class CountedSeries implements Counter {
  readonly labels: Labels;
  total = 0;

  constructor(labels: Labels) {
    this.labels = labels;
  }

  add(amount: number): void {
    this.total += amount;
  }
}

class HistogramSeries implements Histogram {
  readonly #instrument: SdkHistogram;
  readonly #labels: Labels;

  constructor(instrument: SdkHistogram, labels: Labels) {
    this.#instrument = instrument;
    this.#labels = labels;
  }

  record(value: number): void {
    this.#instrument.record(value, this.#labels);
  }
}

class GaugeSeries {
  readonly #labels: Labels;
  #read: (() => number | null) | null = null;

  constructor(labels: Labels) {
    this.#labels = labels;
  }

  /** The latest reader counts: a part that was started again takes over its series. */
  use(read: () => number | null): () => void {
    this.#read = read;
    return () => {
      if (this.#read === read) this.#read = null;
    };
  }

  observe(result: ObservableResult): void {
    // The SDK would show the last value for ever; Prometheus takes NaN as not known.
    result.observe(this.#read?.() ?? Number.NaN, this.#labels);
  }
}

/** Series of one metric by their labels, in the order of the table. */
class SeriesSet<T> {
  readonly #name: MetricName;
  readonly #make: (labels: Labels) => T;
  readonly #series = new Map<string, T>();

  constructor(name: MetricName, make: (labels: Labels) => T) {
    this.#name = name;
    this.#make = make;
  }

  get(labels: Labels): T {
    const names: readonly string[] = METRICS[this.#name].labels;
    const key = JSON.stringify(names.map((name) => labels[name] ?? ""));
    const known = this.#series.get(key);
    if (known !== undefined) return known;
    const isFull = this.#series.size >= MAX_SERIES && names.length > 0;
    const bound = isFull ? Object.fromEntries(names.map((name) => [name, "other"])) : { ...labels };
    return getOrMake(this.#series, isFull ? "other" : key, () => this.#make(bound));
  }

  each(visit: (series: T) => void): void {
    for (const series of this.#series.values()) visit(series);
  }
}

function getOrMake<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}
