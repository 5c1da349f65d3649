import { CronFault } from "./cron-fault.ts";
import { parseCron } from "./parse-cron.ts";
import { type Schedule, scheduleLimits } from "./schedule.ts";
import { ScheduleFault } from "./schedule-fault.ts";
import { validateTimeZone } from "./time-zone.ts";

/**
 * Every fault of a schedule, none when it is right. Paths are those of the
 * contract's fields below `path`.
 *
 * @param jobUid what `H` is spread by; without it `H` is refused
 */
export function checkSchedule(schedule: Schedule, path = "schedule", jobUid?: string): (CronFault | ScheduleFault)[] {
  const { when } = schedule;
  const cron = when.kind === "cron" ? cronFaults(when.expressions, `${path}.cron`, jobUid) : [];
  return [...cron, ...checkValues(schedule, path)];
}

/** Every fault of a schedule but those inside cron expressions. */
export function checkValues(schedule: Schedule, path: string): ScheduleFault[] {
  const faults: ScheduleFault[] = [];
  const refuse = (field: string, reason: string) => faults.push(new ScheduleFault(`${path}.${field}`, reason));
  const { when, startMs, endMs, jitterMs, catchupWindowMs, maxFires, timeZone } = schedule;
  if (when.kind === "cron" && when.expressions.length > scheduleLimits.maxExpressions) {
    refuse("cron", `${when.expressions.length} expressions; allowed are at most ${scheduleLimits.maxExpressions}`);
  }
  if (when.kind === "interval") {
    const { minIntervalMs, maxIntervalMs } = scheduleLimits;
    if (!isWhole(when.intervalMs, minIntervalMs, maxIntervalMs)) {
      refuse("interval", `${when.intervalMs} ms; allowed are whole milliseconds from ${minIntervalMs} ms to 10 years`);
    }
  }
  if (when.kind === "at" && !isInstant(when.atMs)) refuse("at", INSTANTS);
  if (!validateTimeZone(timeZone)) {
    refuse("time_zone", `${JSON.stringify(timeZone)} is no IANA time zone, such as "UTC" or "Europe/Berlin"`);
  }
  if (startMs !== null && !isInstant(startMs)) refuse("start_time", INSTANTS);
  if (endMs !== null && !isInstant(endMs)) refuse("end_time", INSTANTS);
  if (startMs !== null && endMs !== null && endMs <= startMs) refuse("end_time", "not later than start_time");
  if (!isWhole(jitterMs, 0, scheduleLimits.maxJitterMs)) refuse("jitter", `${jitterMs} ms; allowed are 0 to 1 day`);
  if (!isWhole(catchupWindowMs, 0, Number.MAX_SAFE_INTEGER)) {
    refuse("catchup_window", `${catchupWindowMs} ms; allowed are whole milliseconds from 0`);
  }
  if (!isWhole(maxFires, 0, Number.MAX_SAFE_INTEGER)) refuse("max_fires", `${maxFires}; allowed are 0 and more`);
  return faults;
}

const INSTANTS = "allowed are whole milliseconds from 1970 to 9999";

function cronFaults(expressions: readonly string[], path: string, jobUid: string | undefined): CronFault[] {
  const faults: CronFault[] = [];
  // No expression at all is an empty one, and has its words.
  const read = expressions.length === 0 ? [""] : expressions.slice(0, scheduleLimits.maxExpressions);
  for (const expression of read) {
    try {
      parseCron(expression, path, jobUid);
    } catch (error) {
      if (!(error instanceof CronFault)) throw error;
      faults.push(error);
    }
  }
  return faults;
}

function isInstant(value: number): boolean {
  return isWhole(value, 0, scheduleLimits.maxInstantMs);
}

function isWhole(value: number, min: number, max: number): boolean {
  return Number.isSafeInteger(value) && value >= min && value <= max;
}
