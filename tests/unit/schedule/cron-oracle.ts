/**
 * The test's own reading of a cron expression: a value is looked up in the
 * field's text, nothing is compiled. It shares no code with the product and
 * takes only what the generator writes: numbers, names, lists, ranges, steps.
 */

const NAMES: Readonly<Record<string, number>> = {
  JAN: 1,
  FEB: 2,
  MAR: 3,
  APR: 4,
  MAY: 5,
  JUN: 6,
  JUL: 7,
  AUG: 8,
  SEP: 9,
  OCT: 10,
  NOV: 11,
  DEC: 12,
  SUN: 0,
  MON: 1,
  TUE: 2,
  WED: 3,
  THU: 4,
  FRI: 5,
  SAT: 6,
};

/** The local date and time of one minute, as a calendar and a clock on the wall show it. */
export type LocalMinute = {
  readonly minute: number;
  readonly hour: number;
  readonly monthDay: number;
  readonly month: number;
  readonly weekDay: number;
};

/** A local minute, counted from 1970 as if local time were UTC, taken apart. */
export function localMinuteOf(minuteNumber: number): LocalMinute {
  const date = new Date(minuteNumber * 60_000);
  return {
    minute: date.getUTCMinutes(),
    hour: date.getUTCHours(),
    monthDay: date.getUTCDate(),
    month: date.getUTCMonth() + 1,
    weekDay: date.getUTCDay(),
  };
}

/** An expression that can be asked about one local minute. */
export type OracleCron = {
  /** Seconds of each minute that it names. */
  readonly seconds: readonly number[];
  /** Names local times: no wildcard and no step in minute and hour. */
  readonly fixed: boolean;
  namesMinute(local: LocalMinute): boolean;
};

/** Reads an expression of 5 or 6 fields. */
export function oracleCron(expression: string): OracleCron {
  const texts = expression.split(" ");
  const [second = "", minute = "", hour = "", monthDay = "", month = "", weekDay = ""] =
    texts.length === 5 ? ["0", ...texts] : texts;
  const minutes = named(minute, 59);
  const hours = named(hour, 23);
  const monthDays = named(monthDay, 31);
  const months = named(month, 12);
  const weekDays = named(weekDay, 7);
  const bothRestricted = !/^[*?]/.test(monthDay) && !/^[*?]/.test(weekDay);
  return {
    seconds: Array.from({ length: 60 }, (_, value) => value).filter((value) => names(second, value, 59)),
    fixed: !/[*/]/.test(minute + hour),
    namesMinute: (local) => {
      if (minutes[local.minute] !== true || hours[local.hour] !== true || months[local.month] !== true) return false;
      const byMonth = monthDays[local.monthDay] === true;
      const byWeek = weekDays[local.weekDay] === true || (local.weekDay === 0 && weekDays[7] === true);
      return bothRestricted ? byMonth || byWeek : byMonth && byWeek;
    },
  };
}

/** For each value whether a field's text names it. */
function named(text: string, max: number): boolean[] {
  return Array.from({ length: max + 1 }, (_, value) => names(text, value, max));
}

/** Whether a field's text names a value. */
function names(text: string, value: number, max: number): boolean {
  return text.split(",").some((item) => {
    const [base = "", step] = item.split("/");
    const [startText = "", endText] = base.split("-");
    if (base === "*" || base === "?")
      return step === undefined || (value - (max === 31 || max === 12 ? 1 : 0)) % Number(step) === 0;
    const start = numberOf(startText);
    const end =
      endText !== undefined ? (/^sun$/i.test(endText) ? 7 : numberOf(endText)) : step !== undefined ? max : start;
    return value >= start && value <= end && (value - start) % Number(step ?? 1) === 0;
  });
}

function numberOf(text: string): number {
  return NAMES[text.toUpperCase()] ?? Number(text);
}
