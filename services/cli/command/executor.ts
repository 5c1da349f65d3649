import type { ExecutorConfig } from "../../common/config/process-settings.ts";
import type { Logger } from "../../common/runtime/log.ts";
import { SystemClock } from "../../common/runtime/system-clock.ts";
import { SystemRandom } from "../../common/runtime/system-random.ts";
import { startExecutorProcess } from "../../executor/executor-process.ts";
import { exitUnsettled } from "../../executor/run-main.ts";
import { runProcess } from "../run-process.ts";
import type { StopStack } from "../stop-stack.ts";
import { VERSION } from "../version.ts";

/** `jobmesh executor`: an executor of commands, gRPC calls and HTTP requests. Typed handlers are programs of their own, by createExecutor. */
export function run(argv: readonly string[]): Promise<number> {
  const life = { isLeaving: false };
  return runProcess(argv, {
    process: "executor",
    usage: "jobmesh executor [--allow-commands] [options]",
    start: (config, log, stops) => start(config, log, stops, life),
    onStop: (log) => {
      life.isLeaving = true;
      log.info({}, "leaving");
    },
  });
}

/** What a person who forgot --allow-commands should read. */
function nothingToRun({ allowGrpc, allowHttp }: ExecutorConfig): string {
  return allowGrpc || allowHttp
    ? "started without --allow-commands: it runs no commands"
    : "started without --allow-commands: it has nothing that it may run";
}

async function start(
  config: ExecutorConfig,
  log: Logger,
  stops: StopStack,
  life: { readonly isLeaving: boolean },
): Promise<void> {
  if (!config.allowCommands) log.warn({}, nothingToRun(config));
  const running = await startExecutorProcess(config, {
    clock: new SystemClock(),
    random: new SystemRandom(),
    log,
    version: VERSION,
    handlers: [],
    descriptorSets: new Map(),
    schedulers: [],
    exitProcess: exitUnsettled,
  });
  stops.add("executor", () => running.stop());
  // Drained by its scheduler, it ends as if it had been asked here. Where it was, a signal more would be the second one.
  void running.executor.left.then(() => {
    if (!life.isLeaving) process.kill(process.pid, "SIGTERM");
  });
}
