import type { CronFieldName } from "./cron-fault.ts";

/** What one field of a cron expression may hold. */
export type CronFieldSpec = {
  readonly name: CronFieldName;
  readonly min: number;
  readonly max: number;
  /** How many different values there are; the longest step. */
  readonly size: number;
  /** Names in order of their values, which begin with `min`; none when empty. */
  readonly names: readonly string[];
  /** For the words of a fault. */
  readonly allowed: string;
};

const MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
const COMMON = "`*`, lists `a,b`, ranges `a-b`, steps `*/n`, `a-b/n` and `a/n`, and `H`";

/** The six fields in the order of an expression with seconds. */
export const CRON_FIELDS: readonly CronFieldSpec[] = [
  { name: "second", min: 0, max: 59, size: 60, names: [], allowed: `0 to 59, ${COMMON}` },
  { name: "minute", min: 0, max: 59, size: 60, names: [], allowed: `0 to 59, ${COMMON}` },
  { name: "hour", min: 0, max: 23, size: 24, names: [], allowed: `0 to 23, ${COMMON}` },
  {
    name: "day-of-month",
    min: 1,
    max: 31,
    size: 31,
    names: [],
    allowed: `1 to 31, ${COMMON}, \`?\` alone, \`L\`, \`L-3\`, \`15W\` and \`LW\``,
  },
  { name: "month", min: 1, max: 12, size: 12, names: MONTHS, allowed: `1 to 12, JAN to DEC, ${COMMON}` },
  {
    name: "day-of-week",
    min: 0,
    max: 7,
    size: 7,
    names: WEEKDAYS,
    allowed: `0 to 7 (0 and 7 are Sunday), SUN to SAT, ${COMMON}, \`?\` alone, \`5L\` and \`1#2\``,
  },
];

/** What one field says, before cron-parser turns the plain items into values. */
export type CronFieldReading = {
  /** Numbers, ranges and steps without names, `?` or `H`, as cron-parser reads them. */
  readonly plain: string[];
  /** The field begins with `*`, or is `?`. */
  readonly open: boolean;
  /** The field holds `*` or `/`. */
  readonly wild: boolean;
  readonly beforeLast: number[];
  readonly nearestWeekday: number[];
  lastWeekday: boolean;
  readonly lasts: number[];
  readonly nths: { readonly day: number; readonly nth: number }[];
};

/** Throws a fault at an offset of the field's text. */
export type CronFieldFail = (offset: number, reason: string) => never;

/** Draws the value that stands for `H`, from 0 up to but without `size`; it fails where nothing is to spread by. */
export type CronSpread = (offset: number, size: number) => number;

/** Reads one field; every fault is thrown by `fail` with its place. */
export function readCronField(
  text: string,
  spec: CronFieldSpec,
  spread: CronSpread,
  fail: CronFieldFail,
): CronFieldReading {
  const reading: CronFieldReading = {
    plain: [],
    open: text.startsWith("*") || text === "?",
    wild: /[*/]/.test(text),
    beforeLast: [],
    nearestWeekday: [],
    lastWeekday: false,
    lasts: [],
    nths: [],
  };
  checkCharacters(text, spec, fail);
  if (text === "?") {
    reading.plain.push("*");
    return reading;
  }
  let offset = 0;
  for (const item of text.split(",")) {
    if (item === "") fail(offset, `an empty list item; allowed are ${spec.allowed}`);
    readItem(item.toUpperCase(), spec, spread, (at, reason) => fail(offset + at, reason), reading);
    offset += item.length + 1;
  }
  return reading;
}

function checkCharacters(text: string, spec: CronFieldSpec, fail: CronFieldFail): void {
  const at = text.search(/[^A-Za-z0-9*,/\-?#()]/);
  if (at >= 0)
    fail(
      at,
      `unexpected ${JSON.stringify(String.fromCodePoint(text.codePointAt(at) ?? 0))}; allowed are ${spec.allowed}`,
    );
  const mark = text.indexOf("?");
  if (mark < 0) return;
  if (!spec.name.startsWith("day-")) fail(mark, `\`?\` belongs to a day field only; allowed are ${spec.allowed}`);
  if (text !== "?") fail(mark, "`?` stands alone in its field");
}

function readItem(
  item: string,
  spec: CronFieldSpec,
  spread: CronSpread,
  fail: CronFieldFail,
  into: CronFieldReading,
): void {
  if (spec.name === "day-of-month" && readMonthDay(item, fail, into)) return;
  if (spec.name === "day-of-week" && readNthWeekday(item, spec, fail, into)) return;
  const slash = item.indexOf("/");
  const base = slash < 0 ? item : item.slice(0, slash);
  const step = slash < 0 ? null : readStep(item.slice(slash + 1), slash + 1, spec, fail);
  if (base.startsWith("H")) {
    into.plain.push(spreadItem(base, step, spec, spread, fail));
    return;
  }
  const suffix = step === null ? "" : `/${step}`;
  if (base === "*") {
    into.plain.push(`*${suffix}`);
    return;
  }
  const range = readRange(base, spec, fail);
  const end = range.end ?? (step === null ? null : spec.max);
  into.plain.push(end === null ? String(range.start) : `${range.start}-${end}${suffix}`);
}

/** `L`, `L-3`, `LW` and `15W`. */
function readMonthDay(item: string, fail: CronFieldFail, into: CronFieldReading): boolean {
  if (item === "LW") {
    into.lastWeekday = true;
    return true;
  }
  if (item.startsWith("L")) {
    const before = /^L(?:-(\d{1,2}))?$/.exec(item);
    const days = Number(before?.[1] ?? 0);
    if (before === null || days > 30 || (before[1] !== undefined && days === 0)) {
      fail(0, `${quote(item)} is none of \`L\`, \`LW\` and \`L-1\` to \`L-30\``);
    }
    into.beforeLast.push(days);
    return true;
  }
  if (!item.endsWith("W")) return false;
  const day = /^\d{1,2}W$/.test(item) ? Number(item.slice(0, -1)) : 0;
  if (day < 1 || day > 31) fail(0, `${quote(item)} is none of \`1W\` to \`31W\` and \`LW\``);
  into.nearestWeekday.push(day);
  return true;
}

/** `5L`, `FRIL`, `1#2` and `MON#2`. */
function readNthWeekday(item: string, spec: CronFieldSpec, fail: CronFieldFail, into: CronFieldReading): boolean {
  const hash = item.indexOf("#");
  if (hash >= 0) {
    const nth = item.slice(hash + 1);
    if (!/^[1-5]$/.test(nth)) fail(hash + 1, `${quote(nth)} after \`#\`; allowed are 1 to 5`);
    into.nths.push({ day: readValue(item.slice(0, hash), 0, spec, fail) % 7, nth: Number(nth) });
    return true;
  }
  if (!item.endsWith("L")) return false;
  if (item === "L") fail(0, "`L` needs a weekday before it here, as in `5L` for the last Friday of the month");
  into.lasts.push(readValue(item.slice(0, -1), 0, spec, fail) % 7);
  return true;
}

function readStep(text: string, offset: number, spec: CronFieldSpec, fail: CronFieldFail): number {
  const step = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (step < 1 || step > spec.size) {
    fail(offset, `${quote(text)} is no step; allowed are 1 to ${spec.size}`);
  }
  return step;
}

function readRange(
  base: string,
  spec: CronFieldSpec,
  fail: CronFieldFail,
): { readonly start: number; readonly end: number | null } {
  const dash = base.indexOf("-");
  if (dash < 0) return { start: readValue(base, 0, spec, fail), end: null };
  if (dash === 0) fail(0, `a sign or a range without its start; allowed are ${spec.allowed}`);
  const start = readValue(base.slice(0, dash), 0, spec, fail);
  const endText = base.slice(dash + 1);
  let end = readValue(endText, dash + 1, spec, fail);
  // FRI-SUN is Friday to Sunday, as 5-7 is; the number 0 is Sunday before Monday only.
  if (endText === "SUN" && start > 0) end = 7;
  if (end < start) fail(0, `the range ${quote(base)} runs backward; write it as two ranges`);
  return { start, end };
}

function readValue(text: string, offset: number, spec: CronFieldSpec, fail: CronFieldFail): number {
  const named = spec.names.indexOf(text);
  if (named >= 0) return named + spec.min;
  if (!/^\d+$/.test(text)) return fail(offset, `${quote(text)} is no value here; allowed are ${spec.allowed}`);
  const value = Number(text);
  if (value < spec.min || value > spec.max) fail(offset, `${quote(text)} is out of range; allowed are ${spec.allowed}`);
  return value;
}

/** `H`, `H(a-b)`, `H/n` and `H(a-b)/n` become fixed values that differ by job. */
function spreadItem(
  base: string,
  step: number | null,
  spec: CronFieldSpec,
  spread: CronSpread,
  fail: CronFieldFail,
): string {
  const form = /^H(?:\((\d{1,2}-\d{1,2})\))?$/.exec(base);
  if (form === null) return fail(0, `${quote(base)} is none of \`H\`, \`H(a-b)\`, \`H/n\` and \`H(a-b)/n\``);
  const range = form[1] === undefined ? null : readRange(form[1], spec, (at, reason) => fail(at + 2, reason));
  const start = range?.start ?? spec.min;
  // Every month has 28 days, and Sunday is not to be drawn twice as often.
  const last = spec.name === "day-of-month" ? 28 : spec.name === "day-of-week" ? 6 : spec.max;
  const end = range?.end ?? last;
  if (step === null) return String(start + spread(0, end - start + 1));
  const first = start + spread(0, Math.min(step, end - start + 1));
  return `${first}-${end}/${step}`;
}

function quote(text: string): string {
  return text === "" ? "nothing" : `\`${text}\``;
}
