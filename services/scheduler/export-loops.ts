import { JobmeshError } from "../common/error/jobmesh-error.ts";
import type { SchedulerBus } from "../common/port/bus.ts";
import type { Metrics } from "../common/telemetry/metrics.ts";
import { explainedPage } from "./api/waiting-reason.ts";
import { ChangeExporter, type ChangeExporterDeps } from "./feed/change-exporter.ts";
import { EndedExporter, type EndedExporterDeps } from "./feed/ended-exporter.ts";
import type { SchedulerSettings } from "./scheduler-config.ts";

/** What the loops that write to execution.v1 are given. */
export type ExportLoopsDeps = Omit<EndedExporterDeps & ChangeExporterDeps, "bus" | "explain"> & {
  /** null when executors work by their sessions alone. */
  readonly bus: SchedulerBus | null;
  /** Nobody reads them when they are left out. */
  readonly metrics: Metrics | undefined;
};

/** The loops that write to execution.v1; none where that is switched off. Throws CONFIG_INVALID without Kafka. */
export function exportLoops(
  deps: ExportLoopsDeps,
  { executionEvents }: Pick<SchedulerSettings, "executionEvents">,
): readonly { start(): void; stop(): Promise<void> }[] {
  if (!executionEvents) return [];
  const { bus } = deps;
  if (bus === null) {
    const description = "must be false, because there is no Kafka";
    throw new JobmeshError("CONFIG_INVALID", { fieldViolations: [{ field: "executionEvents", description }] });
  }
  const ended = new EndedExporter({ ...deps, bus });
  return [ended, new ChangeExporter({ ...deps, bus, explain: explainedPage }), shown(ended, deps)];
}

/** Shows how far the topic is behind while it is written here. */
function shown(ended: EndedExporter, { metrics, meshClock }: Pick<ExportLoopsDeps, "metrics" | "meshClock">) {
  let hide = (): void => {};
  return {
    start: (): void => {
      const behind = (): number | null =>
        ended.reachedUs === null ? null : Math.max(meshClock.nowUs() - ended.reachedUs, 0) / 1e6;
      hide = metrics?.gauge("jobmesh_events_behind_seconds", {}, behind) ?? hide;
    },
    stop: async (): Promise<void> => hide(),
  };
}
