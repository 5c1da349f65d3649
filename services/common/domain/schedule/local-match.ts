import { DAY_MS, dateOf, dayNumber, daysInMonth, weekdayOf } from "./civil.ts";
import { monthMask, type ParsedCron } from "./cron-pattern.ts";

/** Farthest that a date is searched: 29 February on a given weekday comes at most 40 years apart (2096 to 2136). */
const SEARCH_MONTHS = 41 * 12;
const DAY_SECONDS = 86_400;

/**
 * A cron expression against local time without a zone, as if every day had 24
 * hours. Local times are milliseconds as Date.UTC counts them.
 */
export class LocalMatch {
  readonly #pattern: ParsedCron;
  /** At index v the smallest value not below v, or -1. */
  readonly #hourFrom: Int8Array;
  readonly #minuteFrom: Int8Array;
  readonly #secondFrom: Int8Array;
  readonly #monthFrom: Int8Array;
  /** Masks of the 28 kinds of month, -1 where not yet known. */
  readonly #masks = new Int32Array(28).fill(-1);
  /** The earliest second of a day that matches. */
  readonly #firstSecond: number;

  constructor(pattern: ParsedCron) {
    this.#pattern = pattern;
    this.#hourFrom = smallestFrom(pattern.hours, 24);
    this.#minuteFrom = smallestFrom(pattern.minutes, 60);
    this.#secondFrom = smallestFrom(pattern.seconds, 60);
    this.#monthFrom = smallestFrom(pattern.months, 13);
    this.#firstSecond = this.secondOfDay(0);
  }

  /** The earliest local time at or after `localMs` that matches; Infinity when there is none within 41 years. */
  next(localMs: number): number {
    const seconds = Math.ceil(localMs / 1_000);
    const day = Math.floor(seconds / DAY_SECONDS);
    const found = this.day(day);
    if (found === day) {
      const second = this.secondOfDay(seconds - day * DAY_SECONDS);
      if (second >= 0) return day * DAY_MS + second * 1_000;
      return this.day(day + 1) * DAY_MS + this.#firstSecond * 1_000;
    }
    return found * DAY_MS + this.#firstSecond * 1_000;
  }

  /** The earliest day number from `from` on that matches; Infinity when there is none within 41 years. */
  day(from: number): number {
    let { year, month, day } = dateOf(from);
    for (let months = 0; months <= SEARCH_MONTHS; months += 1) {
      if (this.#monthFrom[month] === month) {
        const first = dayNumber(year, month, 1);
        const mask = this.#mask(weekdayOf(first), daysInMonth(year, month)) & (-1 << (day - 1));
        // The lowest bit that is set.
        if (mask !== 0) return first + 31 - Math.clz32(mask & -mask);
      }
      day = 1;
      month += 1;
      if (month > 12) {
        month = 1;
        year += 1;
      }
    }
    return Number.POSITIVE_INFINITY;
  }

  /** The earliest second of a day from `from` on that matches; -1 when there is none. */
  secondOfDay(from: number): number {
    const hour = Math.floor(from / 3_600);
    const minute = Math.floor(from / 60) % 60;
    const nextHour = this.#hourFrom[hour] ?? -1;
    if (nextHour < 0) return -1;
    if (nextHour > hour) return nextHour * 3_600 + this.#firstOfHour();
    const nextMinute = this.#minuteFrom[minute] ?? -1;
    const nextSecond = nextMinute === minute ? (this.#secondFrom[from % 60] ?? -1) : -1;
    if (nextSecond >= 0) return hour * 3_600 + minute * 60 + nextSecond;
    const laterMinute = nextMinute === minute ? (this.#minuteFrom[minute + 1] ?? -1) : nextMinute;
    if (laterMinute >= 0) return hour * 3_600 + laterMinute * 60 + (this.#secondFrom[0] ?? 0);
    const laterHour = this.#hourFrom[hour + 1] ?? -1;
    return laterHour < 0 ? -1 : laterHour * 3_600 + this.#firstOfHour();
  }

  #firstOfHour(): number {
    return (this.#minuteFrom[0] ?? 0) * 60 + (this.#secondFrom[0] ?? 0);
  }

  #mask(firstWeekday: number, dayCount: number): number {
    const index = firstWeekday * 4 + dayCount - 28;
    const known = this.#masks[index] ?? -1;
    if (known >= 0) return known;
    const mask = monthMask(this.#pattern, firstWeekday, dayCount);
    this.#masks[index] = mask;
    return mask;
  }
}

/** For each value up to and with `end` the smallest member not below it; -1 where there is none. */
function smallestFrom(values: readonly number[], end: number): Int8Array {
  const table = new Int8Array(end + 1).fill(-1);
  for (let value = end, smallest = -1; value >= 0; value -= 1) {
    if (values.includes(value)) smallest = value;
    table[value] = smallest;
  }
  return table;
}
