import type { Store } from "../common/port/store.ts";
import { type Listeners, type MeasureOf, measured } from "./measured-calls.ts";

/** What hears of a store's calls that were answered, by its parts. */
export type StoreListeners = {
  readonly jobs?: Listeners<Store["jobs"]>;
  readonly executors?: Listeners<Store["executors"]>;
  readonly executions?: Listeners<Store["executions"]>;
};

/** Nothing is measured. */
const unmeasured: MeasureOf = () => ({ nowMs: () => 0, took: () => {} });

/**
 * The store, with those who listen told what its calls were answered, in their
 * order, so that the loops that call know nothing of them. One wrapper for all:
 * its cost is that of one call more, on hot paths as well.
 *
 * @param measure what times the calls; null when nothing is measured
 */
export function heardStore(store: Store, listeners: readonly StoreListeners[], measure: MeasureOf | null): Store {
  const heard = <T extends object>(part: T, name: string, own: readonly Listeners<T>[]): T =>
    own.length === 0 && measure === null ? part : measured(part, name, measure ?? unmeasured, own);
  return {
    kind: store.kind,
    routes: store.routes,
    offsets: store.offsets,
    output: store.output,
    descriptors: store.descriptors,
    retention: store.retention,
    feed: store.feed,
    jobs: heard(
      store.jobs,
      "jobs",
      listeners.flatMap(({ jobs }) => jobs ?? []),
    ),
    executors: heard(
      store.executors,
      "executors",
      listeners.flatMap(({ executors }) => executors ?? []),
    ),
    executions: heard(
      store.executions,
      "executions",
      listeners.flatMap(({ executions }) => executions ?? []),
    ),
    start: () => store.start(),
    stop: () => store.stop(),
    nowUs: () => store.nowUs(),
    counts: () => store.counts(),
  };
}
