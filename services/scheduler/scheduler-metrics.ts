import type { Metrics } from "../common/telemetry/metrics.ts";
import type { Backend } from "./api/mesh-service.ts";
import type { MeshClock } from "./mesh-clock.ts";
import type { Roster } from "./sessions/roster.ts";

/** What of a scheduler is shown as metrics. */
export type ShownScheduler = {
  readonly backends: readonly Backend[];
  readonly roster: Roster;
  readonly meshClock: MeshClock;
  /** Shards and partitions that it owns now. */
  owned(): { readonly shards: number; readonly resultPartitions: number };
};

/** Shows a scheduler's state at each scrape; returns what ends it. */
export function showScheduler(metrics: Metrics, scheduler: ShownScheduler): () => void {
  const { backends, roster, meshClock } = scheduler;
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
    metrics.gauge("jobmesh_clock_uncertainty_seconds", {}, () => meshClock.uncertaintyUs() / 1e6),
  ];
  return () => {
    for (const end of ends) end();
  };
}
