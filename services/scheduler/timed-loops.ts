import type { Clock } from "../common/port/clock.ts";
import type { Store } from "../common/port/store.ts";
import type { Logger } from "../common/runtime/log.ts";
import type { Tracing } from "../common/telemetry/tracing.ts";
import type { AheadSlots } from "./dispatch/ahead-slots.ts";
import type { RouteBook } from "./dispatch/route-book.ts";
import type { Hints } from "./hints.ts";
import type { MeshClock } from "./mesh-clock.ts";
import { Cleaner, type TaskOwners } from "./retention/cleaner.ts";
import type { SchedulerSettings } from "./scheduler-config.ts";
import { Expirer, expirerDefaults } from "./timer/expirer.ts";
import { JobTimer, type ShardOwners } from "./timer/job-timer.ts";
import { WaitTimer } from "./timer/wait-timer.ts";

/** Jobs read in one query of the timer, and fires stored at once. */
const TIMER_LIMITS = { maxJobs: 5_000, maxConcurrentFires: 500 };

/** What the loops that go by time are given. */
export type TimedLoopsDeps = {
  readonly store: Store;
  readonly owners: ShardOwners & TaskOwners;
  readonly routes: RouteBook;
  readonly ahead: AheadSlots;
  readonly hints: Hints;
  readonly meshClock: MeshClock;
  readonly clock: Clock;
  readonly tracing: Tracing;
  readonly log: Logger;
};

/** The loops that do what is due: fires, waits, start deadlines, retention. */
export function timedLoops(
  deps: TimedLoopsDeps,
  settings: SchedulerSettings,
): readonly { start(): void; stop(): Promise<void> }[] {
  const { resultBatchRows, retentionMs } = settings;
  return [
    new JobTimer(deps, { ...settings, ...TIMER_LIMITS }),
    new WaitTimer(deps, { ...settings, maxBatchRows: resultBatchRows }),
    new Expirer(deps, expirerDefaults),
    new Cleaner(deps, { retentionMs }),
  ];
}
