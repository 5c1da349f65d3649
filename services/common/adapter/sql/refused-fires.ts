import { causeNumber } from "./execution-row.ts";
import { int, text, textOrNull } from "./row-reader.ts";
import type { Row, SqlSession } from "./session.ts";

const SCHEDULE_CAUSE = causeNumber("SCHEDULE");

/** True for what a schedule made; of a row with cause and job_uid. */
export function isFire(row: Row): boolean {
  return int(row, "cause") === SCHEDULE_CAUSE && textOrNull(row, "job_uid") !== null;
}

/**
 * Rule 9: fires that are SKIPPED after they were made take their counts back, under their jobs' locks. A schedule that
 * its max_fires had ended has one to make again: it goes on from the fire that was refused, which is there and so only
 * moves it on. One that ended by itself ends again by that.
 */
export async function takeFiresBack(session: SqlSession, refused: readonly Row[]): Promise<void> {
  const jobs = new Map<string, { count: number; firstUs: number }>();
  for (const row of refused) {
    const known = jobs.get(text(row, "job_uid"));
    const scheduledUs = int(row, "scheduled_us");
    const firstUs = Math.min(scheduledUs, known?.firstUs ?? scheduledUs);
    jobs.set(text(row, "job_uid"), { count: (known?.count ?? 0) + 1, firstUs });
  }
  const ended = "next_fire_us IS NULL AND paused = 0";
  for (const [jobUid, { count, firstUs }] of [...jobs].sort(([a], [b]) => (a < b ? -1 : 1))) {
    // The shard first: MySQL sets one column after the other.
    await session.execute(
      `UPDATE jobs SET fire_count = fire_count - ?, due_shard = CASE WHEN ${ended} THEN shard ELSE due_shard END,
        next_fire_us = CASE WHEN ${ended} THEN ? ELSE next_fire_us END WHERE job_uid = ?`,
      [count, firstUs, jobUid],
    );
  }
}
