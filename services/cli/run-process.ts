import { loadConfig } from "../common/config/load-config.ts";
import type { ProcessConfig } from "../common/config/process-settings.ts";
import { renderHelp } from "../common/config/render-settings.ts";
import { createLogger, type Logger } from "../common/runtime/log.ts";
import { refuseArguments } from "./no-arguments.ts";
import { ProcessLife } from "./process-life.ts";
import { StopStack } from "./stop-stack.ts";

/** The processes that run until they are asked to stop. */
type LongLived = "dev" | "scheduler" | "executor";

/** What differs between them. */
export type ProcessPlan<P extends LongLived> = {
  readonly process: P;
  /** First line of its help. */
  readonly usage: string;
  /** Starts it; what has begun is noted in `stops` at once. */
  readonly start: (config: ProcessConfig<P>, log: Logger, stops: StopStack) => Promise<void>;
  /** Told when it is asked to stop, before it does. */
  readonly onStop: (log: Logger) => void;
};

/**
 * The life of a long-lived process: settings, help, start, and the stop that
 * a signal asks for. A start that fails takes back what had begun. Answers the
 * exit code.
 */
export async function runProcess<P extends LongLived>(argv: readonly string[], plan: ProcessPlan<P>): Promise<number> {
  const { config, help, rest, unused } = loadConfig(plan.process, { env: process.env, argv });
  if (help) {
    process.stdout.write(renderHelp(plan.process, plan.usage));
    return 0;
  }
  refuseArguments(plan.process, rest);
  const life = new ProcessLife();
  // Every one of them has it; the compiler cannot tell of a process that it does not know yet.
  const { logLevel } = config as Pick<ProcessConfig<"scheduler">, "logLevel">;
  const log = createLogger({ level: logLevel, serviceName: `jobmesh-${plan.process}` });
  if (unused.length > 0)
    log.warn({ names: unused, process: plan.process }, "this process does not read these variables");
  const stops = new StopStack(log);
  try {
    await plan.start(config, log, stops);
  } catch (error) {
    await stops.stop();
    throw error;
  }
  return life.untilStopped(stops, () => plan.onStop(log));
}
