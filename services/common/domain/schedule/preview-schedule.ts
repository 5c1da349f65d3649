import type { CompiledSchedule } from "./compiled-schedule.ts";

/** The first `count` nominal times strictly after an instant; fewer when the schedule or its max_fires end before. */
export function previewSchedule(compiled: CompiledSchedule, afterMs: number, count: number): number[] {
  const { maxFires } = compiled.schedule;
  const wanted = maxFires > 0 ? Math.min(count, maxFires) : count;
  const times: number[] = [];
  let next = compiled.next(afterMs);
  while (next !== null && times.length < wanted) {
    times.push(next);
    next = compiled.next(next);
  }
  return times;
}
