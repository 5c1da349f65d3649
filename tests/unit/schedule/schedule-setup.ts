import { type CompiledSchedule, compileSchedule } from "../../../services/common/domain/schedule/compiled-schedule.ts";
import { type Schedule, scheduleDefaults } from "../../../services/common/domain/schedule/schedule.ts";

/** A schedule of one cron expression, or of several, with defaults. */
export function cronSchedule(cron: string | readonly string[], changes: Partial<Schedule> = {}): Schedule {
  const expressions = typeof cron === "string" ? [cron] : cron;
  return { ...scheduleDefaults, when: { kind: "cron", expressions }, ...changes };
}

/** A schedule of an interval with defaults. */
export function intervalSchedule(intervalMs: number, changes: Partial<Schedule> = {}): Schedule {
  return { ...scheduleDefaults, when: { kind: "interval", intervalMs }, ...changes };
}

/** A schedule of one instant with defaults. */
export function atSchedule(atMs: number, changes: Partial<Schedule> = {}): Schedule {
  return { ...scheduleDefaults, when: { kind: "at", atMs }, ...changes };
}

/** The fires strictly after one instant and before another, in ISO form. */
export function firesBetween(schedule: Schedule, after: string, before: string, anchorMs = 0): string[] {
  const compiled = compileSchedule(schedule, anchorMs);
  const found: string[] = [];
  const endMs = Date.parse(before);
  for (let next = compiled.next(Date.parse(after)); next !== null && next < endMs; next = compiled.next(next)) {
    found.push(new Date(next).toISOString().replace(":00.000Z", "Z"));
  }
  return found;
}

/** Every nominal time from one instant up to but without another. */
export function timesOf(compiled: CompiledSchedule, fromMs: number, toMs: number): number[] {
  const found: number[] = [];
  for (let next = compiled.next(fromMs - 1); next !== null && next < toMs; next = compiled.next(next)) found.push(next);
  return found;
}
