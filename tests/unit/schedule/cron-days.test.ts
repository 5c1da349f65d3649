import assert from "node:assert/strict";
import { test } from "node:test";
import { compileSchedule } from "../../../services/common/domain/schedule/compiled-schedule.ts";
import { scheduleDefaults } from "../../../services/common/domain/schedule/schedule.ts";

const DAY_MS = 86_400_000;
const FROM_MS = Date.UTC(1999, 0, 1);
const TO_MS = Date.UTC(2037, 0, 1);

type Day = { readonly date: Date; readonly day: number; readonly weekDay: number; readonly last: number };

/** Every day of 38 years that a rule told in plain words of the calendar holds for. */
function daysWhere(holds: (day: Day) => boolean): string[] {
  const found: string[] = [];
  for (let ms = FROM_MS; ms < TO_MS; ms += DAY_MS) {
    const date = new Date(ms);
    const last = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate();
    if (holds({ date, day: date.getUTCDate(), weekDay: date.getUTCDay(), last })) found.push(date.toISOString());
  }
  return found;
}

function firesOf(expression: string): string[] {
  const compiled = compileSchedule({ ...scheduleDefaults, when: { kind: "cron", expressions: [expression] } }, 0);
  const found: string[] = [];
  for (let next = compiled.next(FROM_MS - 1); next !== null && next < TO_MS; next = compiled.next(next)) {
    found.push(new Date(next).toISOString());
  }
  assert.equal(compiled.count(FROM_MS, TO_MS), found.length, `count of ${expression}`);
  return found;
}

/** Whether a day is where `nW` falls: a weekday next to day n, no farther than need be, in the same month. */
function isNearest({ day, weekDay, last }: Day, named: number): boolean {
  if (named > last || weekDay === 0 || weekDay === 6) return false;
  const weekDayOfNamed = (weekDay + (named - day) + 70) % 7;
  if (weekDayOfNamed === 6) return named === 1 ? day === 3 : day === named - 1;
  if (weekDayOfNamed === 0) return named === last ? day === named - 2 : day === named + 1;
  return day === named;
}

const RULES: readonly (readonly [string, (day: Day) => boolean])[] = [
  ["0 0 L * *", ({ day, last }) => day === last],
  ["0 0 L-3 * ?", ({ day, last }) => day === last - 3],
  ["0 0 L-30 * *", ({ day, last }) => day === last - 30],
  ["0 0 L,15 * *", ({ day, last }) => day === last || day === 15],
  ["0 0 15W * *", (day) => isNearest(day, 15)],
  ["0 0 1W * *", (day) => isNearest(day, 1)],
  ["0 0 31w * *", (day) => isNearest(day, 31)],
  ["0 0 28W 2 *", (day) => day.date.getUTCMonth() === 1 && isNearest(day, 28)],
  ["0 0 lw * *", (day) => isNearest(day, day.last)],
  ["0 0 LW,1W * *", (day) => isNearest(day, day.last) || isNearest(day, 1)],
  ["0 0 * * 5L", ({ day, weekDay, last }) => weekDay === 5 && day > last - 7],
  ["0 0 ? * friL", ({ day, weekDay, last }) => weekDay === 5 && day > last - 7],
  ["0 0 * * 7L,1#1", ({ day, weekDay, last }) => (weekDay === 0 && day > last - 7) || (weekDay === 1 && day <= 7)],
  ["0 0 * * 1#2", ({ day, weekDay }) => weekDay === 1 && day >= 8 && day <= 14],
  ["0 0 * * FRI#2", ({ day, weekDay }) => weekDay === 5 && day >= 8 && day <= 14],
  ["0 0 * * 0#5", ({ day, weekDay }) => weekDay === 0 && day >= 29],
  ["0 0 * * 7#5", ({ day, weekDay }) => weekDay === 0 && day >= 29],
  ["0 0 * 2 3#5", ({ date, day, weekDay }) => date.getUTCMonth() === 1 && weekDay === 3 && day === 29],
  ["0 0 29 2 *", ({ date, day }) => date.getUTCMonth() === 1 && day === 29],
  [
    "0 0 31 12 1#5",
    ({ date, day, weekDay }) => date.getUTCMonth() === 11 && (day === 31 || (weekDay === 1 && day >= 29)),
  ],
  ["0 0 13 * 5", ({ day, weekDay }) => day === 13 || weekDay === 5],
  ["0 0 */2 * 5", ({ day, weekDay }) => day % 2 === 1 && weekDay === 5],
  ["0 0 1-7 * */6", ({ day, weekDay }) => day <= 7 && (weekDay === 0 || weekDay === 6)],
  ["0 0 13 * ?", ({ day }) => day === 13],
  ["0 0 L * 1", ({ day, weekDay, last }) => day === last || weekDay === 1],
  ["0 0 1-31 * 1", () => true],
  ["0 0 31 2 1", ({ date, weekDay }) => date.getUTCMonth() === 1 && weekDay === 1],
];

test("the day rules name the days that the calendar says, over 38 years", () => {
  for (const [expression, holds] of RULES) assert.deepEqual(firesOf(expression), daysWhere(holds), expression);
});

test("29 February is found over 2100, and on a weekday that comes after 40 years", () => {
  const at = (expression: string, after: number) =>
    compileSchedule({ ...scheduleDefaults, when: { kind: "cron", expressions: [expression] } }, 0).next(after);
  assert.equal(at("0 0 29 2 *", Date.UTC(2096, 1, 29)), Date.UTC(2104, 1, 29));
  // 29 February 2072 is a Monday; the next such one is 2112, as 2100 is no leap year.
  assert.equal(new Date(Date.UTC(2072, 1, 29)).getUTCDay(), 1);
  assert.equal(at("0 0 * 2 1#5", Date.UTC(2072, 1, 29)), Date.UTC(2112, 1, 29));
});
