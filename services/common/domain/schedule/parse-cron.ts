import { createHash } from "node:crypto";
import { CronExpressionParser } from "cron-parser";
import { CronFault, type CronFieldName } from "./cron-fault.ts";
import { CRON_FIELDS, type CronFieldReading, readCronField } from "./cron-field.ts";
import { hasDate, type ParsedCron } from "./cron-pattern.ts";
import { scheduleLimits } from "./schedule.ts";

/** Expressions that a word stands for. */
export const cronAliases: Readonly<Record<string, string>> = {
  "@yearly": "0 0 1 1 *",
  "@annually": "0 0 1 1 *",
  "@monthly": "0 0 1 * *",
  "@weekly": "0 0 * * 0",
  "@daily": "0 0 * * *",
  "@midnight": "0 0 * * *",
  "@hourly": "0 * * * *",
};

/** One word of an expression and where it begins. */
type Word = { readonly text: string; readonly at: number };

/**
 * Reads a cron expression of the UNIX dialect. We check each field ourselves,
 * because a fault must name its place and because cron-parser takes some forms
 * otherwise than the contract says; it then turns what is plain (numbers,
 * ranges, lists and steps) into value sets, and what only the days of a month
 * can tell (`L`, `W`, `#`) stays a rule.
 *
 * @param path of the request's field that holds the expression, for the fault
 * @param spreadKey what `H` is spread by, the job's uid; without it `H` is refused
 * @throws CronFault
 */
export function parseCron(expression: string, path = "schedule.cron", spreadKey?: string): ParsedCron {
  const fault = (at: number, reason: string, field: CronFieldName = "expression"): never => {
    throw new CronFault(path, expression, at, field, reason);
  };
  const words = splitWords(expression, fault);
  const specs = CRON_FIELDS.slice(words.length === 5 ? 1 : 0);
  const readings = new Map<CronFieldName, CronFieldReading>();
  words.forEach((word, index) => {
    const spec = specs[index];
    if (spec === undefined) return;
    const fail = (offset: number, reason: string) => fault(word.at + offset, reason, spec.name);
    const spread = (offset: number, size: number) => {
      if (spreadKey === undefined) return fail(offset, "`H` is spread by job, and there is no job here");
      return hashOf(`${spreadKey}\n${spec.name}`) % size;
    };
    readings.set(spec.name, readCronField(word.text, spec, spread, fail));
  });
  const parsed = toParsedCron(expression.trim(), readings, (reason) => fault(0, reason));
  if (!hasDate(parsed)) {
    const days = words[words.length - 3];
    fault(days?.at ?? 0, "no month named has such a day, so it would never fire", "day-of-month");
  }
  return parsed;
}

/** Splits at blanks and checks what concerns the expression as a whole. */
function splitWords(expression: string, fault: (at: number, reason: string) => never): readonly Word[] {
  if (expression.length > scheduleLimits.maxExpressionLength) {
    fault(scheduleLimits.maxExpressionLength, `longer than ${scheduleLimits.maxExpressionLength} characters`);
  }
  const words: Word[] = [];
  for (const match of expression.matchAll(/[^ \t]+/g)) words.push({ text: match[0], at: match.index });
  const first = words[0];
  if (first === undefined) return fault(0, `empty; ${FORMS}`);
  if (/^(CRON_)?TZ=/i.test(first.text)) fault(first.at, "a zone is not taken here; set time_zone to it instead");
  if (first.text.startsWith("@")) return aliasWords(first, words[1], fault);
  if (words.length > 6) {
    fault(words[6]?.at ?? 0, `${words.length} fields; ${FORMS}; a year field belongs to the QUARTZ dialect`);
  }
  if (words.length < 5) fault(expression.length, `${words.length} of at least 5 fields; ${FORMS}`);
  return words;
}

const FORMS =
  "allowed are 5 fields (minute hour day-of-month month day-of-week), 6 with leading seconds, " +
  `or one of ${Object.keys(cronAliases).join(", ")}`;

function aliasWords(
  alias: Word,
  next: Word | undefined,
  fault: (at: number, reason: string) => never,
): readonly Word[] {
  const name = alias.text.toLowerCase();
  const expression = Object.hasOwn(cronAliases, name) ? cronAliases[name] : undefined;
  if (expression === undefined) return fault(alias.at, `\`${alias.text}\` is no alias; ${FORMS}`);
  if (next !== undefined) fault(next.at, `nothing follows \`${alias.text}\``);
  return expression.split(" ").map((text) => ({ text, at: alias.at }));
}

function toParsedCron(
  expression: string,
  readings: ReadonlyMap<CronFieldName, CronFieldReading>,
  fault: (reason: string) => never,
): ParsedCron {
  const plain = (name: CronFieldName, none: string) => readings.get(name)?.plain.join(",") || none;
  const read = (text: string) => {
    try {
      return CronExpressionParser.parse(text).fields;
    } catch (error) {
      return fault(error instanceof Error ? error.message : "cannot be read");
    }
  };
  // The month is read apart: cron-parser refuses some pairs of day and month, which is for hasDate to judge.
  const fields = read(
    [
      plain("second", "0"),
      plain("minute", "*"),
      plain("hour", "*"),
      plain("day-of-month", "*"),
      "*",
      plain("day-of-week", "*"),
    ].join(" "),
  );
  const monthFields = read(`* * * * ${plain("month", "*")} *`);
  const monthDay = readings.get("day-of-month");
  const weekDay = readings.get("day-of-week");
  const wild = (name: CronFieldName) => readings.get(name)?.wild === true;
  return {
    expression,
    seconds: numbers(fields.second.values),
    minutes: numbers(fields.minute.values),
    hours: numbers(fields.hour.values),
    months: numbers(monthFields.month.values),
    dayOfMonth: {
      restricted: monthDay?.open === false,
      days: monthDay?.plain.length === 0 ? [] : numbers(fields.dayOfMonth.values),
      beforeLast: monthDay?.beforeLast ?? [],
      nearestWeekday: monthDay?.nearestWeekday ?? [],
      lastWeekday: monthDay?.lastWeekday === true,
    },
    dayOfWeek: {
      restricted: weekDay?.open === false,
      days: weekDay?.plain.length === 0 ? [] : numbers(fields.dayOfWeek.values).map((day) => day % 7),
      lasts: weekDay?.lasts ?? [],
      nths: weekDay?.nths ?? [],
    },
    fixedTime: !wild("minute") && !wild("hour"),
  };
}

/** Sorted numbers of one of cron-parser's value lists, which may also hold letters; ours never do. */
function numbers(values: readonly (number | string)[]): number[] {
  return [...new Set(values.map(Number))].sort((left, right) => left - right);
}

function hashOf(text: string): number {
  return createHash("sha256").update(text).digest().readUIntBE(0, 6);
}
