import type { Clock } from "../common/port/clock.ts";
import type { Store } from "../common/port/store.ts";
import type { Metrics } from "../common/telemetry/metrics.ts";
import { movedListeners } from "./feed/moved-listeners.ts";
import { heardStore } from "./heard-store.ts";
import type { Hints } from "./hints.ts";
import { countingListeners, storeSeconds } from "./measured-store.ts";

/** What a scheduler is given of its store. */
export type SchedulerStoreDeps = { readonly store: Store; readonly metrics?: Metrics; readonly clock: Clock };

/** The store as a scheduler's parts have it: counted and timed where there are metrics, and heard by those who watch. */
export function schedulerStore({ store, metrics, clock }: SchedulerStoreDeps, hints: Hints): Store {
  if (metrics === undefined) return heardStore(store, [movedListeners(hints)], null);
  return heardStore(store, [countingListeners(metrics), movedListeners(hints)], storeSeconds(metrics, clock));
}
