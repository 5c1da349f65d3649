import { assert } from "../assert.ts";
import { checkValues } from "./check-schedule.ts";
import { CronFires } from "./cron-fires.ts";
import { CronUnion } from "./cron-union.ts";
import { parseCron } from "./parse-cron.ts";
import type { Schedule } from "./schedule.ts";
import { zoneSpans } from "./zone-spans.ts";

/** Nominal times without an end: the rule of a schedule alone. */
export type NominalTimes = {
  /** The first nominal time strictly after an instant; Infinity when there is none. */
  next(afterMs: number): number;
  /** How many nominal times there are from `fromMs` up to but without `toMs`; cost follows days, not fires. */
  count(fromMs: number, toMs: number): number;
};

/** A schedule made ready to be asked. It holds no state that changes: keep one for each revision of a job. */
export type CompiledSchedule = {
  readonly schedule: Schedule;
  /** The first nominal time strictly after an instant, inside start and end; null when there is none. */
  next(afterMs: number): number | null;
  /** The last nominal time strictly before an instant, inside start and end; null when there is none since `sinceMs`. */
  previous(beforeMs: number, sinceMs: number): number | null;
  /** How many nominal times there are from `fromMs` up to but without `toMs`. Cost follows days, not fires. */
  count(fromMs: number, toMs: number): number;
};

/**
 * Compiles a schedule.
 *
 * @param anchorMs the job's creation, from which an interval without start is counted
 * @param jobUid what `H` in a cron expression is spread by; without it `H` is refused
 * @throws CronFault for an expression that cannot be read, ScheduleFault for any other value that is not allowed
 */
export function compileSchedule(schedule: Schedule, anchorMs: number, jobUid?: string): CompiledSchedule {
  const [fault] = checkValues(schedule, "schedule");
  if (fault !== undefined) throw fault;
  const times = nominalTimes(schedule, anchorMs, jobUid);
  const startMs = schedule.startMs ?? Number.NEGATIVE_INFINITY;
  const endMs = schedule.endMs ?? Number.POSITIVE_INFINITY;
  const next = (afterMs: number) => {
    const found = times.next(Math.max(Math.floor(afterMs), startMs - 1));
    return found < endMs && found !== Number.POSITIVE_INFINITY ? found : null;
  };
  return {
    schedule,
    next,
    previous: (beforeMs, sinceMs) => latest(next, beforeMs, sinceMs),
    count: (fromMs, toMs) => {
      const from = Math.max(fromMs, startMs);
      const to = Math.min(toMs, endMs);
      return from < to ? times.count(from, to) : 0;
    },
  };
}

function nominalTimes(schedule: Schedule, anchorMs: number, jobUid: string | undefined): NominalTimes {
  const { when } = schedule;
  switch (when.kind) {
    case "cron": {
      const spans = zoneSpans(schedule.timeZone);
      // No expression at all is an empty one, and parseCron has the words for it.
      const expressions = when.expressions.length === 0 ? [""] : when.expressions;
      const fires = expressions.map((text) => new CronFires(parseCron(text, "schedule.cron", jobUid), spans, schedule));
      return new CronUnion(fires, spans);
    }
    case "interval":
      return intervalTimes(when.intervalMs, schedule.startMs ?? anchorMs);
    case "at":
      return {
        next: (afterMs) => (afterMs < when.atMs ? when.atMs : Number.POSITIVE_INFINITY),
        count: (fromMs, toMs) => (fromMs <= when.atMs && when.atMs < toMs ? 1 : 0),
      };
  }
}

/** anchor, anchor + interval, anchor + 2 intervals, …: no fire's lateness moves a later one. */
function intervalTimes(intervalMs: number, anchorMs: number): NominalTimes {
  assert(Number.isSafeInteger(anchorMs), "an interval is anchored to a whole millisecond");
  const indexFrom = (fromMs: number) => Math.max(0, Math.ceil((fromMs - anchorMs) / intervalMs));
  return {
    next: (afterMs) => anchorMs + indexFrom(afterMs + 1) * intervalMs,
    count: (fromMs, toMs) => indexFrom(toMs) - indexFrom(fromMs),
  };
}

/** Bisects for the last instant whose next fire is still before `beforeMs`; some 40 steps at most. */
function latest(next: (afterMs: number) => number | null, beforeMs: number, sinceMs: number): number | null {
  const isBefore = (afterMs: number) => (next(afterMs) ?? Number.POSITIVE_INFINITY) < beforeMs;
  let low = Math.floor(sinceMs) - 1;
  if (!isBefore(low)) return null;
  let high = Math.ceil(beforeMs);
  while (high - low > 1) {
    const middle = low + Math.floor((high - low) / 2);
    if (isBefore(middle)) low = middle;
    else high = middle;
  }
  return next(low);
}
