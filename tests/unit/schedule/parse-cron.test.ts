import assert from "node:assert/strict";
import { test } from "node:test";
import { CronFault } from "../../../services/common/domain/schedule/cron-fault.ts";
import { cronAliases, parseCron } from "../../../services/common/domain/schedule/parse-cron.ts";

function faultOf(expression: string): CronFault {
  try {
    parseCron(expression, "job.schedule.cron");
  } catch (error) {
    if (error instanceof CronFault) return error;
    throw error;
  }
  throw new assert.AssertionError({ message: `${JSON.stringify(expression)} was taken` });
}

/** Expression, field and position at fault, and a word of the reason. */
const REFUSED: readonly (readonly [string, string, number, RegExp])[] = [
  ["", "expression", 0, /empty.*5 fields/],
  ["   ", "expression", 0, /empty/],
  ["* * * *", "expression", 7, /4 of at least 5 fields/],
  ["5", "expression", 1, /1 of at least 5/],
  ["0 0 0 1 1 * 2030", "expression", 12, /7 fields.*QUARTZ/],
  ["* * * * * * * *", "expression", 12, /8 fields/],
  ["CRON_TZ=Europe/Berlin 0 9 * * *", "expression", 0, /time_zone/],
  ["TZ=UTC 0 9 * * *", "expression", 0, /time_zone/],
  ["  cron_tz=UTC 0 9 * * *", "expression", 2, /time_zone/],
  ["@reboot", "expression", 0, /no alias.*@hourly/],
  ["@every 5m", "expression", 0, /no alias/],
  ["@daily *", "expression", 7, /nothing follows/],
  ["@toString", "expression", 0, /no alias/],
  ["0 0 31 2 *", "day-of-month", 4, /never fire/],
  ["0 0 0 30 2 *", "day-of-month", 6, /never fire/],
  ["0 0 31 4,6,9,11 *", "day-of-month", 4, /never fire/],
  ["0 0 31W 2 *", "day-of-month", 4, /never fire/],
  ["0 0 L-29 2 *", "day-of-month", 4, /never fire/],
  ["*/0 * * * *", "minute", 2, /step.*1 to 60/],
  ["* 5-9/0 * * *", "hour", 6, /step.*1 to 24/],
  ["*/61 * * * *", "minute", 2, /1 to 60/],
  ["*/ * * * *", "minute", 2, /nothing is no step/],
  ["*/5/2 * * * *", "minute", 2, /no step/],
  ["*/1.5 * * * *", "minute", 3, /unexpected "\."/],
  ["*/-5 * * * *", "minute", 2, /no step/],
  ["30-10 * * * *", "minute", 0, /backward/],
  ["* * * * 6-2", "day-of-week", 8, /backward/],
  ["* * * * FRI-MON", "day-of-week", 8, /backward/],
  ["* * * * 5-0", "day-of-week", 8, /backward/],
  ["* * * DEC-JAN *", "month", 6, /backward/],
  ["1,,2 * * * *", "minute", 2, /empty list item/],
  [",1 * * * *", "minute", 0, /empty list item/],
  ["* 1, * * *", "hour", 4, /empty list item/],
  ["+5 * * * *", "minute", 0, /unexpected "\+"/],
  ["-5 * * * *", "minute", 0, /sign/],
  ["5- * * * *", "minute", 2, /nothing is no value/],
  ["1-2-3 * * * *", "minute", 2, /no value/],
  ["٣ * * * *", "minute", 0, /unexpected "٣"/],
  ["* ５ * * *", "hour", 2, /unexpected/],
  ["* 𝟓 * * *", "hour", 2, /unexpected "𝟓"/],
  ["MON * * * *", "minute", 0, /`MON` is no value/],
  ["* JAN * * *", "hour", 2, /no value/],
  ["* * FRI * *", "day-of-month", 4, /no value/],
  ["* * * MON *", "month", 6, /JAN to DEC/],
  ["* * * * JAN", "day-of-week", 8, /SUN to SAT/],
  ["* * * JANUARY *", "month", 6, /no value/],
  ["? * * * *", "minute", 0, /day field/],
  ["* * * ? *", "month", 6, /day field/],
  ["* * ?,1 * *", "day-of-month", 4, /alone/],
  ["* * 1,? * *", "day-of-month", 6, /alone/],
  ["* * * * ?/2", "day-of-week", 8, /alone/],
  ["60 * * * *", "minute", 0, /0 to 59/],
  ["* 24 * * *", "hour", 2, /0 to 23/],
  ["* * 0 * *", "day-of-month", 4, /1 to 31/],
  ["* * 32 * *", "day-of-month", 4, /1 to 31/],
  ["* * * 0 *", "month", 6, /1 to 12/],
  ["* * * 13 *", "month", 6, /1 to 12/],
  ["* * * * 8", "day-of-week", 8, /0 to 7/],
  ["60 * * * * *", "second", 0, /0 to 59/],
  ["*5 * * * *", "minute", 0, /no value/],
  ["5* * * * *", "minute", 0, /no value/],
  ["*-5 * * * *", "minute", 0, /no value/],
  ["99999999999999999999 * * * *", "minute", 0, /out of range/],
  ["1e1 * * * *", "minute", 0, /no value/],
  ["0x5 * * * *", "minute", 0, /no value/],
  ["L * * * *", "minute", 0, /no value/],
  ["* * L-0 * *", "day-of-month", 4, /L-1/],
  ["* * L-31 * *", "day-of-month", 4, /L-30/],
  ["* * L/2 * *", "day-of-month", 4, /L-30/],
  ["* * 0W * *", "day-of-month", 4, /31W/],
  ["* * 32W * *", "day-of-month", 4, /31W/],
  ["* * W * *", "day-of-month", 4, /31W/],
  ["* * 1-5W * *", "day-of-month", 4, /31W/],
  ["* * * * L", "day-of-week", 8, /5L/],
  ["* * * * 8L", "day-of-week", 8, /0 to 7/],
  ["* * * * 1#0", "day-of-week", 10, /1 to 5/],
  ["* * * * 1#6", "day-of-week", 10, /1 to 5/],
  ["* * * * 1#", "day-of-week", 10, /1 to 5/],
  ["* * * * #2", "day-of-week", 8, /no value/],
  ["* * * * 1-5#2", "day-of-week", 8, /no value/],
  ["* * 1#2 * *", "day-of-month", 4, /no value/],
  ["H * * * *", "minute", 0, /spread by job/],
  ["0\n0 * * *", "expression", 9, /4 of at least 5/],
  ["0\u00a00 * * * *", "minute", 1, /unexpected/],
  [`${"1,".repeat(500)}1 * * * *`, "expression", 1_000, /longer than 1000/],
];

test("what is no cron expression is refused with its field, its position and what is allowed", () => {
  for (const [expression, field, position, reason] of REFUSED) {
    const fault = faultOf(expression);
    assert.deepEqual([fault.field, fault.position], [field, position], `${expression}: ${fault.message}`);
    assert.match(fault.reason, reason, expression);
    assert.equal(fault.path, "job.schedule.cron");
    assert.ok(fault.message.startsWith("job.schedule.cron: "), fault.message);
  }
});

function days(expression: string): readonly number[] {
  return [...new Set(parseCron(expression).dayOfWeek.days)];
}

test("values, names in any case, ranges, lists and steps are read", () => {
  const cron = parseCron("  5,10-12\t*/6 1-31/10 jan,Mar-MAY 20/1  ".replace("20/1", "Mon-FRI/2"));
  assert.equal(cron.expression, "5,10-12\t*/6 1-31/10 jan,Mar-MAY Mon-FRI/2");
  assert.deepEqual(cron.seconds, [0]);
  assert.deepEqual(cron.minutes, [5, 10, 11, 12]);
  assert.deepEqual(cron.hours, [0, 6, 12, 18]);
  assert.deepEqual(cron.dayOfMonth.days, [1, 11, 21, 31]);
  assert.deepEqual(cron.months, [1, 3, 4, 5]);
  assert.deepEqual(cron.dayOfWeek.days, [1, 3, 5]);
  assert.deepEqual(parseCron("20/15 * * * *").minutes, [20, 35, 50]);
  assert.deepEqual(parseCron("5/20 1 2 3 4 5").seconds, [5, 25, 45]);
  assert.deepEqual(parseCron("0,0,*/30,00 * * * *").minutes, [0, 30]);
});

test("Sunday is 0 and 7, in ranges, steps and by name at the end of a range too", () => {
  assert.deepEqual(days("0 0 * * 0"), [0]);
  assert.deepEqual(days("0 0 * * 7"), [0]);
  assert.deepEqual(days("0 0 * * 5-7"), [0, 5, 6]);
  assert.deepEqual(days("0 0 * * fri-sun"), [0, 5, 6]);
  assert.deepEqual(days("0 0 * * SUN-TUE"), [0, 1, 2]);
  assert.deepEqual(days("0 0 * * 0-7"), [0, 1, 2, 3, 4, 5, 6]);
  assert.deepEqual(days("0 0 * * 5/1"), [0, 5, 6]);
  assert.deepEqual(days("0 0 * * 1/2"), [0, 1, 3, 5]);
  assert.deepEqual(days("0 0 * * */2"), [0, 2, 4, 6]);
  assert.deepEqual(days("0 0 * * 6,7"), [0, 6]);
});

test("an alias stands for its expression, in any case", () => {
  for (const [alias, expression] of Object.entries(cronAliases)) {
    for (const text of [alias, alias.toUpperCase(), ` ${alias} `]) {
      assert.deepEqual({ ...parseCron(text), expression }, parseCron(expression), text);
    }
  }
});

test("fixed times are those without a wildcard and a step in minute and hour", () => {
  const fixed = ["0 9 * * *", "0,30 9-17 */2 * *", "* 5 9 * * *", "*/5 5 9 * * *", "@daily", "0-59 0-23 * * *"];
  for (const text of fixed) assert.equal(parseCron(text).fixedTime, true, text);
  for (const text of ["* 9 * * *", "0 * * * *", "0 1-23/2 * * *", "0,*/30 9 * * *", "5/1 9 * * *", "@hourly"]) {
    assert.equal(parseCron(text).fixedTime, false, text);
  }
});

test("H is a fixed value that differs by job and stays in its field and range", () => {
  const minutes = new Set<number>();
  for (let job = 0; job < 200; job += 1) {
    const cron = parseCron("H H(9-11) H H H", "cron", `job-${job}`);
    const [minute = -1] = cron.minutes;
    minutes.add(minute);
    assert.equal(cron.minutes.length, 1);
    assert.ok(cron.hours.every((hour) => hour >= 9 && hour <= 11));
    assert.ok(cron.dayOfMonth.days.every((day) => day >= 1 && day <= 28));
    assert.ok(cron.months.every((month) => month >= 1 && month <= 12));
    assert.deepEqual(parseCron("H H(9-11) H H H", "cron", `job-${job}`), cron);
    const stepped = parseCron("H/15 H(0-5)/2 * * *", "cron", `job-${job}`);
    assert.equal(stepped.minutes.length, 4);
    assert.ok(stepped.minutes.every((value, index) => value === (stepped.minutes[0] ?? 0) + 15 * index));
    assert.equal(stepped.hours.length, 3);
  }
  assert.ok(minutes.size > 45, `${minutes.size} different minutes of 200 jobs`);
});
