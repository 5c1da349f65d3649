import { loadConfig } from "../../common/config/load-config.ts";
import { renderHelp } from "../../common/config/render-settings.ts";
import { createLogger } from "../../common/runtime/log.ts";
import { SystemClock } from "../../common/runtime/system-clock.ts";
import { SystemRandom } from "../../common/runtime/system-random.ts";
import { startExecutorProcess } from "../../executor/executor-process.ts";
import { exitUnsettled } from "../../executor/run-main.ts";
import { refuseArguments } from "../no-arguments.ts";
import { ProcessLife } from "../process-life.ts";
import { StopStack } from "../stop-stack.ts";
import { VERSION } from "../version.ts";

/** `jobmesh executor`: an executor of commands. Typed handlers are programs of their own, by createExecutor. */
export async function run(argv: readonly string[]): Promise<number> {
  const { config, help, rest, unused } = loadConfig("executor", { env: process.env, argv });
  if (help) {
    process.stdout.write(renderHelp("executor", "jobmesh executor [--allow-commands] [options]"));
    return 0;
  }
  refuseArguments("executor", rest);
  const life = new ProcessLife();
  const log = createLogger({ level: config.logLevel, serviceName: "jobmesh-executor" });
  if (unused.length > 0) log.warn({ names: unused }, "these variables are not read by an executor");
  if (!config.allowCommands) log.warn({}, "started without --allow-commands: it has nothing that it may run");
  const clock = new SystemClock();
  const random = new SystemRandom();
  const stops = new StopStack(log);
  const parts = { clock, random, log, version: VERSION };
  const running = await startExecutorProcess(config, {
    ...parts,
    handlers: [],
    descriptorSets: new Map(),
    schedulers: [],
    exitProcess: exitUnsettled,
  }).catch(async (error: unknown) => {
    await stops.stop();
    throw error;
  });
  stops.add("executor", () => running.stop());
  // Drained by its scheduler, it ends as if it had been asked here.
  void running.executor.left.then(() => process.kill(process.pid, "SIGTERM"));
  return life.untilStopped(stops, () => log.info({}, "leaving"));
}
