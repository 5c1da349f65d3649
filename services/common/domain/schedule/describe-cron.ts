import type { DayOfMonthRule, DayOfWeekRule, ParsedCron } from "./cron-pattern.ts";

const MONTH_NAMES = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December",
];
const WEEKDAY_NAMES = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const ORDINALS = ["", "first", "second", "third", "fourth", "fifth"];
/** Times of day that are still listed one by one. */
const MAX_LISTED_TIMES = 8;

/** A cron expression in English words, said from its value sets, so that what is read is what fires. */
export function describeCron(cron: ParsedCron): string {
  return [timeWords(cron), dayWords(cron), monthWords(cron)].filter((words) => words !== "").join(" ");
}

function timeWords({ seconds, minutes, hours }: ParsedCron): string {
  if (hours.length * minutes.length * seconds.length <= MAX_LISTED_TIMES) {
    return `at ${list(hours.flatMap((hour) => minutes.flatMap((minute) => seconds.map((second) => clock(hour, minute, second)))))}`;
  }
  const everyHour = hours.length === 24;
  const ofHours = everyHour ? "" : ` of hour ${runs(hours, String)}`;
  const onMinute = seconds.length === 1 && seconds[0] === 0;
  if (onMinute) {
    const step = stepOf(minutes, 60);
    if (step !== null) return `every ${step === 1 ? "minute" : `${step} minutes`}${ofHours}`;
    return `at minute ${runs(minutes, String)} of ${everyHour ? "every hour" : `hour ${runs(hours, String)}`}`;
  }
  const step = stepOf(seconds, 60);
  const secondWords =
    step === null ? `at second ${runs(seconds, String)}` : `every ${step === 1 ? "second" : `${step} seconds`}`;
  if (minutes.length === 60) return `${secondWords}${step === null ? " of every minute" : ""}${ofHours}`;
  return `${secondWords} of minute ${runs(minutes, String)} of ${everyHour ? "every hour" : `hour ${runs(hours, String)}`}`;
}

/** n when the values are 0, n, 2n, … with n dividing the whole, else null. */
function stepOf(values: readonly number[], whole: number): number | null {
  const step = whole / values.length;
  return Number.isInteger(step) && step < whole && values.every((value, index) => value === index * step) ? step : null;
}

function dayWords({ dayOfMonth, dayOfWeek }: ParsedCron): string {
  const byMonth = monthDayParts(dayOfMonth);
  const byWeek = weekdayParts(dayOfWeek);
  const either = dayOfMonth.restricted && dayOfWeek.restricted;
  // Where either matches, one that names every day makes it every day.
  if (either && (byMonth.length === 0 || byWeek.length === 0)) return "";
  if (byMonth.length === 0 && byWeek.length === 0) return "";
  if (byWeek.length === 0) return `on ${list(byMonth)} of the month`;
  if (byMonth.length === 0) return `on ${list(byWeek)}`;
  if (either) return `on ${list(byMonth)} of the month or on ${list(byWeek)}`;
  return `on ${list(byMonth)} of the month where that is ${list(byWeek, "or")}`;
}

/** Nothing when every day is named. */
function monthDayParts(rule: DayOfMonthRule): string[] {
  if (rule.days.length === 31) return [];
  const parts = rule.days.length > 0 ? [`day ${runs(rule.days, String)}`] : [];
  for (const before of rule.beforeLast) {
    parts.push(before === 0 ? "the last day" : `the day ${before} ${before === 1 ? "day" : "days"} before the last`);
  }
  for (const day of rule.nearestWeekday) parts.push(`the weekday nearest to day ${day}`);
  if (rule.lastWeekday) parts.push("the last weekday");
  return parts;
}

/** Nothing when every day is named. */
function weekdayParts(rule: DayOfWeekRule): string[] {
  const days = [...new Set(rule.days)];
  if (days.length === 7) return [];
  // A week is read from Monday, so that Saturday and Sunday stand together.
  const fromMonday = days.map((day) => (day + 6) % 7).sort((left, right) => left - right);
  const parts = days.length > 0 ? [runs(fromMonday, (day) => WEEKDAY_NAMES[(day + 1) % 7] ?? "")] : [];
  for (const day of rule.lasts) parts.push(`the last ${WEEKDAY_NAMES[day]} of the month`);
  for (const { day, nth } of rule.nths) parts.push(`the ${ORDINALS[nth]} ${WEEKDAY_NAMES[day]} of the month`);
  return parts;
}

function monthWords({ months }: ParsedCron): string {
  return months.length === 12 ? "" : `in ${runs(months, (month) => MONTH_NAMES[month - 1] ?? "")}`;
}

function clock(hour: number, minute: number, second: number): string {
  const parts = second === 0 ? [hour, minute] : [hour, minute, second];
  return parts.map((part) => String(part).padStart(2, "0")).join(":");
}

/** Sorted values, three and more in a row as "a to b". */
function runs(values: readonly number[], name: (value: number) => string): string {
  const parts: string[] = [];
  for (let index = 0; index < values.length; ) {
    const start = values[index] ?? 0;
    let length = 1;
    while (values[index + length] === start + length) length += 1;
    if (length >= 3) parts.push(`${name(start)} to ${name(start + length - 1)}`);
    else for (let step = 0; step < length; step += 1) parts.push(name(start + step));
    index += length;
  }
  return list(parts);
}

function list(parts: readonly string[], last = "and"): string {
  if (parts.length < 2) return parts.join("");
  return `${parts.slice(0, -1).join(", ")} ${last} ${parts[parts.length - 1]}`;
}
