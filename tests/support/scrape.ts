import assert from "node:assert/strict";

/** What one scrape gave. */
export class Scrape {
  readonly #values = new Map<string, number>();
  readonly #types = new Map<string, string>();

  /** Parses Prometheus text, and refuses what a strict reader would: samples without a type, twice, or of no number. */
  constructor(text: string) {
    for (const line of text.split("\n")) {
      const [, name = "", type = ""] = /^# TYPE (\S+) (\S+)$/.exec(line) ?? [];
      if (name !== "") {
        assert.ok(!this.#types.has(name), `${name} is declared twice`);
        this.#types.set(name, type);
      }
      if (line !== "" && !line.startsWith("#")) this.#take(line);
    }
  }

  /** Names of metrics that have a sample. */
  get names(): ReadonlySet<string> {
    return new Set([...this.#values.keys()].map((series) => this.#metricOf(series)));
  }

  /** Value of a series by its name with all its labels; 0 when there is none. */
  value(series: string): number {
    return this.#values.get(series) ?? 0;
  }

  /** Sum over all series of a name. */
  sum(name: string): number {
    let sum = 0;
    for (const [series, value] of this.#values) if (series === name || series.startsWith(`${name}{`)) sum += value;
    return sum;
  }

  #take(line: string): void {
    const [, series = "", value = ""] = /^([a-z_][a-z0-9_]*(?:\{.*\})?) (\S+)$/.exec(line) ?? [];
    assert.notEqual(series, "", `no sample: ${line}`);
    assert.ok(!this.#values.has(series), `${series} comes twice`);
    assert.ok(this.#types.has(this.#metricOf(series)), `${series} has no type`);
    assert.ok(Number.isFinite(Number(value)), line);
    this.#values.set(series, Number(value));
  }

  #metricOf(series: string): string {
    const [name = ""] = series.split("{");
    const base = name.replace(/_(bucket|sum|count)$/, "");
    return this.#types.get(base) === "histogram" ? base : name;
  }
}

/** Scrapes a process. */
export async function scrape(httpAddress: string): Promise<Scrape> {
  const response = await fetch(`http://${httpAddress}/metrics`);
  assert.equal(response.status, 200);
  return new Scrape(await response.text());
}
