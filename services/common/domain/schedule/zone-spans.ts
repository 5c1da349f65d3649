import { DAY_MS, dayNumber } from "./civil.ts";

/**
 * Time in a zone, cut into spans of constant UTC offset. Intl knows the rules
 * of the zones but can only be asked for the local time of one instant, so a
 * year is sampled and each change of offset found by bisection, once.
 */

/** A stretch of time in which local time is UTC plus `offsetMs`. */
export type ZoneSpan = {
  /** First instant. */
  readonly startMs: number;
  /** First instant that is no longer in it. */
  readonly endMs: number;
  readonly offsetMs: number;
  /** The offset just before `startMs`; another one only where a clock change is. */
  readonly offsetBeforeMs: number;
  /** Local times below this were already there in an earlier span. */
  readonly freshLocalMs: number;
  /** Local times from this on come again in a later span. */
  readonly againLocalMs: number;
};

/** A change of offset. */
type Change = { readonly atMs: number; readonly beforeMs: number; readonly afterMs: number };

/**
 * Distance of the samples. Of all zones of tzdb 2026c, asked each 8 hours from
 * 1970 to 2040, none changes its offset twice within less than 7 days (Recife
 * in October 2000).
 */
const SAMPLE_MS = 4 * DAY_MS;
/** A local time comes again after 26 hours at most, the distance of the outermost offsets. */
const NEAR_MS = 2 * DAY_MS;
/** Years kept for each zone; a longer search begins anew. */
const MAX_YEARS = 256;

/** The spans of one zone. Made by `zoneSpans`. */
export class ZoneSpans {
  readonly #format: Intl.DateTimeFormat;
  readonly #years = new Map<number, readonly ZoneSpan[]>();
  #latest: ZoneSpan | undefined;

  constructor(timeZone: string) {
    this.#format = new Intl.DateTimeFormat("en-US", { timeZone, year: "numeric", timeZoneName: "longOffset" });
  }

  /** The span that an instant is in. */
  at(instantMs: number): ZoneSpan {
    const latest = this.#latest;
    if (latest !== undefined && instantMs >= latest.startMs && instantMs < latest.endMs) return latest;
    const year = new Date(instantMs).getUTCFullYear();
    for (const span of this.#spansOf(year)) {
      if (instantMs < span.endMs) {
        this.#latest = span;
        return span;
      }
    }
    throw new RangeError(`no span of year ${year} holds ${instantMs}`);
  }

  #spansOf(year: number): readonly ZoneSpan[] {
    const known = this.#years.get(year);
    if (known !== undefined) return known;
    if (this.#years.size >= MAX_YEARS) this.#years.clear();
    const spans = this.#cut(dayNumber(year, 1, 1) * DAY_MS, dayNumber(year + 1, 1, 1) * DAY_MS);
    this.#years.set(year, spans);
    return spans;
  }

  #cut(fromMs: number, toMs: number): readonly ZoneSpan[] {
    const changes = this.#changes(fromMs - NEAR_MS, toMs + NEAR_MS);
    const spans: ZoneSpan[] = [];
    const cuts = changes.filter((change) => change.atMs > fromMs && change.atMs < toMs).map((change) => change.atMs);
    const starts = [fromMs, ...cuts];
    for (const [index, startMs] of starts.entries()) {
      const endMs = starts[index + 1] ?? toMs;
      const offsetMs = this.#offsetAt(startMs);
      const before = changes.find((change) => change.atMs === startMs);
      let freshLocalMs = startMs + offsetMs;
      let againLocalMs = endMs + offsetMs;
      for (const { atMs, beforeMs, afterMs } of changes) {
        if (atMs <= startMs && atMs > startMs - NEAR_MS) freshLocalMs = Math.max(freshLocalMs, atMs + beforeMs);
        if (atMs >= endMs && atMs < endMs + NEAR_MS) againLocalMs = Math.min(againLocalMs, atMs + afterMs);
      }
      const offsetBeforeMs = before?.beforeMs ?? offsetMs;
      spans.push({ startMs, endMs, offsetMs, offsetBeforeMs, freshLocalMs, againLocalMs });
    }
    return spans;
  }

  /** Every change of offset in a stretch of time, in order. */
  #changes(fromMs: number, toMs: number): readonly Change[] {
    const changes: Change[] = [];
    let leftMs = fromMs;
    let beforeMs = this.#offsetAt(leftMs);
    while (leftMs < toMs) {
      const rightMs = leftMs + SAMPLE_MS;
      const afterMs = this.#offsetAt(rightMs);
      if (afterMs !== beforeMs) changes.push({ atMs: this.#bisect(leftMs, rightMs, beforeMs), beforeMs, afterMs });
      leftMs = rightMs;
      beforeMs = afterMs;
    }
    return changes;
  }

  /** First whole second whose offset is no longer `beforeMs`. */
  #bisect(leftMs: number, rightMs: number, beforeMs: number): number {
    let same = leftMs;
    let other = rightMs;
    while (other - same > 1_000) {
      const middle = same + Math.floor((other - same) / 2_000) * 1_000;
      if (this.#offsetAt(middle) === beforeMs) same = middle;
      else other = middle;
    }
    return other;
  }

  #offsetAt(instantMs: number): number {
    const match = /GMT(?:([+-])(\d\d):(\d\d)(?::(\d\d))?)?$/.exec(this.#format.format(instantMs));
    if (match === null) throw new RangeError(`Intl gave no offset for ${instantMs}`);
    const size = Number(match[2] ?? 0) * 3_600 + Number(match[3] ?? 0) * 60 + Number(match[4] ?? 0);
    return (match[1] === "-" ? -size : size) * 1_000;
  }
}

/** One entry a zone that was ever asked for; Intl bounds the names to some 600, in lower case. */
const zones = new Map<string, ZoneSpans>();

/**
 * The spans of a zone, made once.
 * @throws RangeError when Intl does not know the zone
 */
export function zoneSpans(timeZone: string): ZoneSpans {
  const key = timeZone.toLowerCase();
  let spans = zones.get(key);
  if (spans === undefined) {
    spans = new ZoneSpans(timeZone);
    zones.set(key, spans);
  }
  return spans;
}
