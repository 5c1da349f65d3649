import type { ExecutorConfig as ExecutorSettings } from "../common/config/process-settings.ts";
import type { ExecutorId } from "../common/domain/identifier.ts";
import type { Clock } from "../common/port/clock.ts";
import type { Random } from "../common/port/random.ts";
import { HttpServer } from "../common/runtime/http-server.ts";
import type { Logger } from "../common/runtime/log.ts";
import { listenerSecurity, type SecurityValues } from "../common/security/link-security.ts";
import { createMetrics } from "../common/telemetry/create-metrics.ts";
import { createTracing } from "../common/telemetry/create-tracing.ts";
import { type Metrics, silentMetrics } from "../common/telemetry/metrics.ts";
import { showProcess } from "../common/telemetry/process-metrics.ts";
import type { Tracing } from "../common/telemetry/tracing.ts";
import type { Executor } from "./executor.ts";

/** What shows an executor process from outside. */
export type ExecutorTelemetry = {
  readonly tracing: Tracing;
  /** Silent where nobody can read them. */
  readonly metrics: Metrics;
  /** Serves /metrics, /healthz and /readyz where the settings say so: ready while a home has the executor. */
  serve(executor: Executor): Promise<void>;
  /** Sends the spans that are left, and serves no more. */
  stop(): Promise<void>;
};

type TelemetrySettings = Pick<ExecutorSettings, "httpListen" | "insecure" | "stopGraceMs"> &
  SecurityValues &
  Parameters<typeof createTracing>[1];

/** Opens tracing by OTEL_*, and metrics by JOBMESH_HTTP_LISTEN; neither loads anything where it is not wanted. */
export async function openTelemetry(
  settings: TelemetrySettings,
  deps: { readonly clock: Clock; readonly random: Random; readonly log: Logger },
  process: { readonly executorId: ExecutorId; readonly version: string },
): Promise<ExecutorTelemetry> {
  const named = { serviceName: "jobmesh-executor", instanceId: process.executorId, version: process.version };
  const tracing = await createTracing(deps, settings, named);
  const metrics = settings.httpListen === null ? silentMetrics : await createMetrics(named);
  const ends: (() => Promise<void> | void)[] = [];
  return {
    tracing,
    metrics,
    serve: async (executor) => {
      if (settings.httpListen === null) return;
      ends.push(showProcess(metrics));
      const http = new HttpServer(
        { log: deps.log, renderMetrics: () => metrics.render(), readiness: () => ({ home: executor.status.homed }) },
        { listen: settings.httpListen, insecure: settings.insecure, security: listenerSecurity(settings) },
      );
      const { address } = await http.start();
      ends.push(() => http.stop());
      deps.log.info({ httpAddress: address }, "metrics and health are served");
    },
    stop: async () => {
      for (const end of ends.splice(0).reverse()) await end();
      await Promise.all([metrics.stop(), tracing.stop(settings.stopGraceMs)]);
    },
  };
}
