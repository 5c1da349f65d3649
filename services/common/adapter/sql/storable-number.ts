import type { AttemptResult } from "../../domain/attempt.ts";

/**
 * Rule 4: numbers that executors report. MySQL refuses what does not fit its
 * column and SQLite keeps whatever it is given, to be read back as nonsense;
 * so both refuse the same here.
 */

const MAX_INT = 2_147_483_647;
/** The longest wait before another attempt that a target can ask for: ten years. */
const MAX_DELAY_MS = 3_660 * 86_400_000;

/** True for a time in whole microseconds since the epoch that is exact: up to the year 2255. */
export function isStorableTime(timeUs: number | null): boolean {
  return timeUs === null || (Number.isSafeInteger(timeUs) && timeUs >= 0);
}

/** What is wrong with a result's numbers; null when nothing is. */
export function numberFault(
  result: Pick<AttemptResult, "startUs" | "exitCode" | "outputPieceCount"> & { readonly endUs: number | null },
): string | null {
  if (!isStorableTime(result.startUs)) return "its start is no time";
  if (!isStorableTime(result.endUs)) return "its end is no time";
  const { exitCode, outputPieceCount } = result;
  if (exitCode !== null && !(Number.isInteger(exitCode) && Math.abs(exitCode) <= MAX_INT)) return "no such exit code";
  if (!Number.isSafeInteger(outputPieceCount) || outputPieceCount < 0) return "no such number of pieces";
  return null;
}

/** A wait in whole milliseconds that a time can be made of. */
export function storableDelayMs(delayMs: number): number {
  return Number.isNaN(delayMs) ? 0 : Math.round(Math.min(Math.max(delayMs, 0), MAX_DELAY_MS));
}
