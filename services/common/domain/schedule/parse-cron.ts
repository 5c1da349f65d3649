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
  const values = (name: CronFieldName) => {
    const found = (readings.get(name)?.plain ?? []).flatMap((item) => itemValues(name, item, fault));
    return [...new Set(found)].sort((left, right) => left - right);
  };
  const monthDay = readings.get("day-of-month");
  const weekDay = readings.get("day-of-week");
  const wild = (name: CronFieldName) => readings.get(name)?.wild === true;
  return {
    expression,
    seconds: readings.has("second") ? values("second") : [0],
    minutes: values("minute"),
    hours: values("hour"),
    months: values("month"),
    dayOfMonth: {
      restricted: monthDay?.open === false,
      days: values("day-of-month"),
      beforeLast: monthDay?.beforeLast ?? [],
      nearestWeekday: monthDay?.nearestWeekday ?? [],
      lastWeekday: monthDay?.lastWeekday === true,
    },
    dayOfWeek: {
      restricted: weekDay?.open === false,
      days: values("day-of-week"),
      lasts: weekDay?.lasts ?? [],
      nths: weekDay?.nths ?? [],
    },
    fixedTime: !wild("minute") && !wild("hour"),
  };
}

/** Items kept; there are some 3,000 sensible ones, and the jobs of a mesh share few. */
const MAX_KEPT_ITEMS = 4_096;
const keptItems = new Map<string, readonly number[]>();

/**
 * Values of one item, by cron-parser. It is given each item alone, because it
 * refuses a value that a list names twice, which cron takes (`0,30,*`), and
 * pairs of day and month, which is for hasDate to judge. One call costs some
 * 80 µs, most of it for a date that we do not need, so answers are kept.
 */
function itemValues(name: CronFieldName, item: string, fault: (reason: string) => never): readonly number[] {
  const key = `${name} ${item}`;
  const kept = keptItems.get(key);
  if (kept !== undefined) return kept;
  const place = CRON_FIELDS.findIndex((spec) => spec.name === name);
  const fields = fieldsOf(CRON_FIELDS.map((_, index) => (index === place ? item : "*")).join(" "), fault);
  const read = [fields.second, fields.minute, fields.hour, fields.dayOfMonth, fields.month, fields.dayOfWeek][place];
  // cron-parser gives Sunday as 0, as 7, or as both.
  const values = (read?.values ?? []).map((value) => (name === "day-of-week" ? Number(value) % 7 : Number(value)));
  if (keptItems.size >= MAX_KEPT_ITEMS) keptItems.clear();
  keptItems.set(key, values);
  return values;
}

function fieldsOf(expression: string, fault: (reason: string) => never) {
  try {
    return CronExpressionParser.parse(expression).fields;
  } catch (error) {
    return fault(error instanceof Error ? error.message : "cannot be read");
  }
}

function hashOf(text: string): number {
  return createHash("sha256").update(text).digest().readUIntBE(0, 6);
}
