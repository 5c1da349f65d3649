import type { Clock } from "../common/port/clock.ts";
import type { Store, StoreCounts } from "../common/port/store.ts";
import { LabelledCounter } from "../common/telemetry/labelled-counter.ts";
import type { Metrics } from "../common/telemetry/metrics.ts";
import type { Backend } from "./api/mesh-service.ts";
import type { HintOrigin, Hints } from "./hints.ts";
import type { MeshClock } from "./mesh-clock.ts";
import type { Roster } from "./sessions/roster.ts";

/** What of a scheduler is shown as metrics. */
export type ShownScheduler = {
  readonly store: Store;
  readonly hints: Hints;
  readonly clock: Clock;
  readonly backends: readonly Backend[];
  readonly roster: Roster;
  readonly meshClock: MeshClock;
  /** Shards and partitions that it owns now. */
  owned(): { readonly shards: number; readonly resultPartitions: number };
};

/** Shows a scheduler's state at each scrape; returns what ends it. */
export function showScheduler(metrics: Metrics, scheduler: ShownScheduler): () => void {
  const { backends, roster, meshClock, clock } = scheduler;
  const slots = (use: "free" | "taken"): number => {
    let free = 0;
    let all = 0;
    for (const executor of roster.all()) {
      free += executor.room;
      all += executor.profile.slots;
    }
    return use === "free" ? free : all - free;
  };
  const ends = [
    ...backends.map(({ role, health }) =>
      metrics.gauge("jobmesh_backend_up", { backend: role }, () => (health().healthy ? 1 : 0)),
    ),
    metrics.gauge("jobmesh_sessions", {}, () => [...roster.all()].length),
    metrics.gauge("jobmesh_slots", { use: "free" }, () => slots("free")),
    metrics.gauge("jobmesh_slots", { use: "taken" }, () => slots("taken")),
    metrics.gauge("jobmesh_owned", { what: "shards" }, () => scheduler.owned().shards),
    metrics.gauge("jobmesh_owned", { what: "result_partitions" }, () => scheduler.owned().resultPartitions),
    metrics.gauge("jobmesh_clock_offset_seconds", {}, () => (clock.wallUs() - meshClock.nowUs()) / 1e6),
    metrics.gauge("jobmesh_clock_uncertainty_seconds", {}, () => meshClock.uncertaintyUs() / 1e6),
    ...showCounts(metrics, scheduler),
    ...countHints(metrics, scheduler.hints),
  ];
  return () => {
    for (const end of ends) end();
  };
}

/** What the store counted last; asked again by each scrape, and answered to the next one. */
function showCounts(metrics: Metrics, { store, meshClock }: ShownScheduler): readonly (() => void)[] {
  let latest: StoreCounts | null = null;
  const ask = (): void => {
    store.counts().then(
      (counts) => {
        latest = counts;
      },
      () => {
        latest = null;
      },
    );
  };
  ask();
  const shown = (state: "scheduled" | "ready" | "running"): (() => void) =>
    metrics.gauge("jobmesh_live_executions", { state: state.toUpperCase() }, () => latest?.[state] ?? null);
  return [
    shown("scheduled"),
    shown("ready"),
    shown("running"),
    metrics.gauge("jobmesh_oldest_ready_seconds", {}, () => {
      ask();
      if (latest === null) return null;
      return latest.oldestReadyUs === null ? 0 : Math.max(meshClock.nowUs() - latest.oldestReadyUs, 0) / 1e6;
    }),
  ];
}

/** "output" is not among them: its pieces are many, and the hint is no more than their arrival. */
const COUNTED_HINTS = ["ready", "free", "stop", "ended", "changed"] as const;

function countHints(metrics: Metrics, hints: Hints): readonly (() => void)[] {
  return COUNTED_HINTS.map((kind) => {
    const counters = new LabelledCounter<HintOrigin>((origin) =>
      metrics.counter("jobmesh_hints_total", { kind, origin }),
    );
    return hints.on(kind, (_hint, origin) => counters.add(origin, 1));
  });
}
