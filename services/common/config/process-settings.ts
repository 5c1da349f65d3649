import { etcdTls } from "./backend-settings.ts";
import { executorSettings, executorWork, scheduler } from "./executor-settings.ts";
import { otelSettings } from "./otel-settings.ts";
import { schedulerLoops, schedulerSettings } from "./scheduler-settings.ts";
import { clientCertificates, tls, tlsName, tokens } from "./security-settings.ts";
import { type Setting, toggle } from "./setting.ts";
import { backends, cluster, dataDir, insecure, listeners, liveness, log, stopping, store } from "./shared-settings.ts";

/** Settings by their names in the config object. */
export type Settings = Readonly<Record<string, Setting<unknown>>>;

/** The config object that settings make. */
export type ConfigOf<S extends Settings> = {
  readonly [K in keyof S]: S[K] extends Setting<infer T> ? T : never;
};

/** Every process with the settings that it reads. */
export const PROCESSES = {
  /** `jobmesh dev`: scheduler and executor in one process; it dials no backend. */
  dev: {
    ...listeners,
    ...tls,
    ...clientCertificates,
    ...tokens,
    ...dataDir,
    ...store,
    ...executorWork,
    allowCommands: toggle({
      env: "JOBMESH_ALLOW_COMMANDS",
      default: "true",
      meaning: "The embedded executor runs shell commands.",
    }),
    ...cluster,
    // Each execution has its line on standard output: the log is for what needs a look.
    logLevel: { ...log.logLevel, default: "warn" },
    ...liveness,
    ...schedulerLoops,
    ...stopping,
    ...otelSettings,
  },
  scheduler: { ...schedulerSettings, ...otelSettings },
  executor: { ...executorSettings, ...otelSettings },
  /** `jobmesh migrate`. */
  migrate: {
    ...store,
    ...dataDir,
    ...log,
    relist: toggle({
      env: "JOBMESH_RELIST",
      default: "false",
      meaning:
        "Looks at each execution, and mends what lists find it by; after an upgrade one process after the other.",
    }),
  },
  /** `jobmesh run`, `call`, `http`, `logs`, `handlers`, `status` and whatever else calls the mesh. */
  client: {
    ...scheduler,
    ...tls,
    ...tlsName,
    ...tokens,
    ...insecure,
    etcdEndpoints: backends.etcdEndpoints,
    ...etcdTls,
    ...cluster,
    ...log,
    ...otelSettings,
  },
} as const satisfies Record<string, Settings>;

/** Name of a process. */
export type ProcessName = keyof typeof PROCESSES;

/** Config object of a process. */
export type ProcessConfig<P extends ProcessName> = ConfigOf<(typeof PROCESSES)[P]>;

/** Config of `jobmesh dev`. */
export type DevConfig = ProcessConfig<"dev">;
/** Config of `jobmesh scheduler`. */
export type SchedulerConfig = ProcessConfig<"scheduler">;
/** Config of `jobmesh executor`. */
export type ExecutorConfig = ProcessConfig<"executor">;
/** Config of `jobmesh migrate`. */
export type MigrateConfig = ProcessConfig<"migrate">;
/** Config of commands that call the mesh. */
export type ClientConfig = ProcessConfig<"client">;
