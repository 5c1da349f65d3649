import type { CronFires } from "./cron-fires.ts";
import type { ZoneSpans } from "./zone-spans.ts";

const DAY_SECONDS = 86_400;

/** The fires of several expressions in one zone, each instant once. */
export class CronUnion {
  readonly #fires: readonly CronFires[];
  readonly #spans: ZoneSpans;
  /** Fires of a whole day by the set of expressions (as bits) that match its date. */
  readonly #dayCounts = new Map<number, number>();

  constructor(fires: readonly CronFires[], spans: ZoneSpans) {
    this.#fires = fires;
    this.#spans = spans;
  }

  /** The first fire strictly after an instant; Infinity when there is none within 41 years. */
  next(afterMs: number): number {
    let earliest = Number.POSITIVE_INFINITY;
    for (const fires of this.#fires) earliest = Math.min(earliest, fires.next(afterMs));
    return earliest;
  }

  /** How many fires there are from `fromMs` up to but without `toMs`, counted by days. */
  count(fromMs: number, toMs: number): number {
    let total = 0;
    for (let atMs = fromMs; atMs < toMs; ) {
      const span = this.#spans.at(atMs);
      const startsHere = span.startMs >= fromMs;
      const startLocal = Math.max(span.startMs, fromMs) + span.offsetMs;
      const endLocal = Math.min(span.endMs, toMs) + span.offsetMs;
      const parts = this.#fires.map((fires) => ({
        fires,
        from: Math.max(startLocal, fires.localStart(span)),
        to: Math.min(endLocal, fires.localEnd(span)),
      }));
      if (startsHere && this.#fires.some((fires) => fires.firesAtStart(span))) {
        const alsoRegular = parts.some(({ fires, from }) => from === startLocal && fires.match.next(from) === from);
        if (!alsoRegular) total += 1;
      }
      // Between two bounds the set of expressions that count is the same.
      const bounds = [...new Set(parts.flatMap(({ from, to }) => [from, to]))].sort((left, right) => left - right);
      for (const [index, from] of bounds.entries()) {
        const to = bounds[index + 1];
        if (to === undefined) break;
        total += this.#countLocal(
          bits(parts, (part) => part.from <= from && part.to >= to),
          from,
          to,
        );
      }
      atMs = span.endMs;
    }
    return total;
  }

  /** Fires of some expressions (as bits) in a stretch of local time. */
  #countLocal(active: number, fromLocal: number, toLocal: number): number {
    if (active === 0) return 0;
    const from = Math.ceil(fromLocal / 1_000);
    const to = Math.ceil(toLocal / 1_000);
    let total = 0;
    for (let day = Math.floor(from / DAY_SECONDS); day * DAY_SECONDS < to; day += 1) {
      const onDay = active & bits(this.#fires, (fires) => fires.match.day(day) === day);
      if (onDay === 0) {
        // Straight to the next date that any expression has.
        const nextDays = this.#fires.map((fires) => fires.match.day(day + 1));
        day = Math.min(...nextDays, Math.ceil(to / DAY_SECONDS)) - 1;
        continue;
      }
      const start = day * DAY_SECONDS;
      if (from <= start && start + DAY_SECONDS <= to) total += this.#wholeDay(onDay);
      else total += this.#countSeconds(onDay, Math.max(from - start, 0), Math.min(to - start, DAY_SECONDS));
    }
    return total;
  }

  #wholeDay(active: number): number {
    const known = this.#dayCounts.get(active);
    if (known !== undefined) return known;
    const count = this.#countSeconds(active, 0, DAY_SECONDS);
    // 16 expressions at most, but only sets that dates really have: bounded all the same.
    if (this.#dayCounts.size >= 1_024) this.#dayCounts.clear();
    this.#dayCounts.set(active, count);
    return count;
  }

  #countSeconds(active: number, from: number, to: number): number {
    const matches = this.#fires.filter((_, index) => (active & (1 << index)) !== 0).map((fires) => fires.match);
    let total = 0;
    for (let second = from; second < to; total += 1) {
      let earliest = DAY_SECONDS;
      for (const match of matches) {
        const found = match.secondOfDay(second);
        if (found >= 0 && found < earliest) earliest = found;
      }
      if (earliest >= to) break;
      second = earliest + 1;
    }
    return total;
  }
}

/** The items for which something holds, as bits. */
function bits<Item>(items: readonly Item[], holds: (item: Item) => boolean): number {
  let mask = 0;
  for (const [index, item] of items.entries()) if (holds(item)) mask |= 1 << index;
  return mask;
}
