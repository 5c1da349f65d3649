/**
 * Rule 10: missed is later than 15 s. What a scheduler that looks at a job
 * late makes of each nominal time that is due: it is fired, it is merged into
 * a later one, or it is recorded as skipped with its reason; none is dropped.
 * Up to ten skipped fires are rows, more are one row with a count.
 *
 * Time before now falls into three stretches: outside the catch-up window,
 * missed inside the window (the policy decides), and not more than 15 s late,
 * which is fired as if nothing had been. Counts are computed, not walked, so a
 * job that was down for a year costs what one of a minute does.
 */
import type { CompiledSchedule } from "./compiled-schedule.ts";
import type { MissedFirePolicy } from "./schedule.ts";

/** A fire that is more than this late was missed. */
export const MISSED_AFTER_MS = 15_000;
/** Skipped fires of one reason that are each a row; more become one row. */
export const MAX_SKIPPED_ROWS = 10;
/** Fires in one plan; a plan that has more of them says so and where to go on. */
export const MAX_PLANNED_FIRES = 1_000;

/** A nominal time that is to be an execution. */
export type PlannedFire = {
  readonly nominalMs: number;
  /** Earlier nominal times that it stands for besides its own (Execution.merged_count). */
  readonly mergedCount: number;
  /** Always null: only a run of skipped fires reaches until a later time. */
  readonly mergedUntilMs: null;
};

/** Why a fire is skipped, by the names of the contract's StateReason. */
export type MissedReason = "MISSED" | "OUTSIDE_CATCHUP_WINDOW";

/** A nominal time, or a run of them, that is to be recorded as SKIPPED. */
export type SkippedFire = {
  /** The nominal time; the first of a run. */
  readonly nominalMs: number;
  readonly reason: MissedReason;
  /** Later nominal times of the run besides this one; 0 for a single fire. */
  readonly mergedCount: number;
  /** Last nominal time of the run; null for a single fire. */
  readonly mergedUntilMs: number | null;
};

/** What becomes of a job's nominal times that are due. */
export type FirePlan = {
  /** In order of time. */
  readonly fires: readonly PlannedFire[];
  /** In order of time. */
  readonly skipped: readonly SkippedFire[];
  /** The job's next_fire_time after this plan; null when the schedule has ended. */
  readonly nextFireMs: number | null;
  /** True when `nextFireMs` is due as well: store this plan, then plan again from there. */
  readonly more: boolean;
};

/** What a plan is made from. */
export type MissedFiresInput = {
  readonly compiled: CompiledSchedule;
  /** The job's stored next_fire_time, not yet accounted for. */
  readonly nextFireMs: number;
  /** Mesh time. */
  readonly nowMs: number;
  readonly policy: MissedFirePolicy;
  readonly catchupWindowMs: number;
  /** Lateness from which on a fire was missed; 15 s when unset. */
  readonly missedAfterMs?: number;
  /** Executions that the schedule may still make (max_fires); null or unset means no limit. */
  readonly firesLeft?: number | null;
};

/** Decides for every nominal time from `nextFireMs` up to and with `nowMs`. */
export function missedFires(input: MissedFiresInput): FirePlan {
  const { compiled, nextFireMs, policy } = input;
  const nowMs = Math.floor(input.nowMs);
  const firesLeft = input.firesLeft ?? Number.POSITIVE_INFINITY;
  if (firesLeft <= 0) return { fires: [], skipped: [], nextFireMs: null, more: false };
  if (nextFireMs > nowMs) return { fires: [], skipped: [], nextFireMs, more: false };

  // Nominal times below a bound are on its left side: the bounds themselves are not missed, not outside.
  const missedUntil = Math.max(nextFireMs, nowMs - (input.missedAfterMs ?? MISSED_AFTER_MS));
  const outsideUntil = Math.min(Math.max(nextFireMs, nowMs - input.catchupWindowMs), missedUntil);
  const skipped = skippedFires(compiled, nextFireMs, outsideUntil, "OUTSIDE_CATCHUP_WINDOW");
  const fires: PlannedFire[] = [];
  let fromMs = outsideUntil;
  if (policy !== "FIRE_ALL") {
    if (policy === "SKIP") skipped.push(...skippedFires(compiled, outsideUntil, missedUntil, "MISSED"));
    if (policy === "FIRE_ONCE") fires.push(...mergedFire(compiled, outsideUntil, missedUntil));
    fromMs = missedUntil;
  }
  let next = compiled.next(fromMs - 1);
  while (next !== null && next <= nowMs && fires.length < Math.min(firesLeft, MAX_PLANNED_FIRES)) {
    fires.push({ nominalMs: next, mergedCount: 0, mergedUntilMs: null });
    next = compiled.next(next);
  }
  if (fires.length >= firesLeft) return { fires, skipped, nextFireMs: null, more: false };
  return { fires, skipped, nextFireMs: next, more: next !== null && next <= nowMs };
}

/** FIRE_ONCE: one execution with the latest nominal time stands for all. */
function mergedFire(compiled: CompiledSchedule, fromMs: number, untilMs: number): PlannedFire[] {
  const nominalMs = compiled.previous(untilMs, fromMs);
  if (nominalMs === null) return [];
  return [{ nominalMs, mergedCount: compiled.count(fromMs, nominalMs), mergedUntilMs: null }];
}

/** The nominal times from `fromMs` up to but without `untilMs`, each as a row or all as one. */
function skippedFires(
  compiled: CompiledSchedule,
  fromMs: number,
  untilMs: number,
  reason: MissedReason,
): SkippedFire[] {
  const rows: SkippedFire[] = [];
  let next = compiled.next(fromMs - 1);
  while (next !== null && next < untilMs && rows.length <= MAX_SKIPPED_ROWS) {
    rows.push({ nominalMs: next, reason, mergedCount: 0, mergedUntilMs: null });
    next = compiled.next(next);
  }
  const first = rows[0];
  if (first === undefined || rows.length <= MAX_SKIPPED_ROWS) return rows;
  const mergedCount = compiled.count(first.nominalMs + 1, untilMs);
  return [{ nominalMs: first.nominalMs, reason, mergedCount, mergedUntilMs: compiled.previous(untilMs, fromMs) }];
}
