import { daysInMonth } from "./civil.ts";

/** Days of a month that a day-of-month field names. */
export type DayOfMonthRule = {
  /** False for `?` and for a field that begins with `*`: such a field only filters. */
  readonly restricted: boolean;
  /** Days 1 to 31. */
  readonly days: readonly number[];
  /** Days before the last one of the month: 0 for `L`, 3 for `L-3`. */
  readonly beforeLast: readonly number[];
  /** `15W`: the weekday nearest to that day, in the same month. A month without that day has none. */
  readonly nearestWeekday: readonly number[];
  /** `LW`: the last Monday-to-Friday day of the month. */
  readonly lastWeekday: boolean;
};

/** Days of a month that a day-of-week field names; 0 is Sunday. */
export type DayOfWeekRule = {
  /** False for `?` and for a field that begins with `*`: such a field only filters. */
  readonly restricted: boolean;
  /** Weekdays 0 to 6. */
  readonly days: readonly number[];
  /** `5L`: the last of that weekday in the month. */
  readonly lasts: readonly number[];
  /** `1#2`: the second Monday of the month. */
  readonly nths: readonly { readonly day: number; readonly nth: number }[];
};

/** A cron expression that was read and found to be right. */
export type ParsedCron = {
  /** As it was written, without blanks around it. */
  readonly expression: string;
  /** Sorted values. */
  readonly seconds: readonly number[];
  readonly minutes: readonly number[];
  readonly hours: readonly number[];
  /** 1 to 12. */
  readonly months: readonly number[];
  readonly dayOfMonth: DayOfMonthRule;
  readonly dayOfWeek: DayOfWeekRule;
  /**
   * True when hour and minute fields hold neither `*` nor `/`: such an
   * expression names local times and obeys the clock-change policies; any
   * other follows real time.
   */
  readonly fixedTime: boolean;
};

/** Bit 0 is day 1. */
function bit(day: number): number {
  return 2 ** (day - 1);
}

function dayOfMonthMask(rule: DayOfMonthRule, firstWeekday: number, dayCount: number): number {
  let mask = 0;
  const add = (day: number) => {
    if (day >= 1 && day <= dayCount) mask |= bit(day);
  };
  for (const day of rule.days) add(day);
  for (const before of rule.beforeLast) add(dayCount - before);
  for (const day of rule.nearestWeekday) if (day <= dayCount) add(weekdayNear(day, firstWeekday, dayCount));
  if (rule.lastWeekday) add(weekdayNear(dayCount, firstWeekday, dayCount));
  return mask;
}

/** The Monday-to-Friday day nearest to a day without leaving the month; on the last day that is always the one before. */
function weekdayNear(day: number, firstWeekday: number, dayCount: number): number {
  const weekday = (firstWeekday + day - 1) % 7;
  if (weekday === 6) return day > 1 ? day - 1 : day + 2;
  if (weekday === 0) return day < dayCount ? day + 1 : day - 2;
  return day;
}

function dayOfWeekMask(rule: DayOfWeekRule, firstWeekday: number, dayCount: number): number {
  let mask = 0;
  for (let day = 1; day <= dayCount; day += 1) {
    const weekday = (firstWeekday + day - 1) % 7;
    const nth = Math.ceil(day / 7);
    const named =
      rule.days.includes(weekday) ||
      (day + 7 > dayCount && rule.lasts.includes(weekday)) ||
      rule.nths.some((entry) => entry.day === weekday && entry.nth === nth);
    if (named) mask |= bit(day);
  }
  return mask;
}

/**
 * Days of a month that match, as bits (bit 0 is day 1): every rule of the day
 * fields depends only on the month's length and its first weekday. Both fields
 * restricted: either matches; else both filter (Vixie cron).
 */
export function monthMask(pattern: ParsedCron, firstWeekday: number, dayCount: number): number {
  const byMonth = dayOfMonthMask(pattern.dayOfMonth, firstWeekday, dayCount);
  const byWeek = dayOfWeekMask(pattern.dayOfWeek, firstWeekday, dayCount);
  return pattern.dayOfMonth.restricted && pattern.dayOfWeek.restricted ? byMonth | byWeek : byMonth & byWeek;
}

/** Whether any date of the Gregorian calendar matches. */
export function hasDate(pattern: ParsedCron): boolean {
  for (const month of pattern.months) {
    const shortest = month === 2 ? 28 : daysInMonth(2_001, month);
    const longest = month === 2 ? 29 : shortest;
    for (let dayCount = shortest; dayCount <= longest; dayCount += 1) {
      for (let weekday = 0; weekday < 7; weekday += 1) if (monthMask(pattern, weekday, dayCount) !== 0) return true;
    }
  }
  return false;
}
