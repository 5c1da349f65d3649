import { MemoryRegistry } from "../../common/adapter/memory/registry.ts";
import type { SchedulerConfig } from "../../common/config/process-settings.ts";
import type { Logger } from "../../common/runtime/log.ts";
import { SystemClock } from "../../common/runtime/system-clock.ts";
import { SystemRandom } from "../../common/runtime/system-random.ts";
import { createTracing } from "../../common/telemetry/create-tracing.ts";
import { startBus } from "../late-bus.ts";
import { openBus, openRegistry } from "../open-backends.ts";
import { runProcess } from "../run-process.ts";
import { newSchedulerId, serveScheduler } from "../scheduler-process.ts";
import { startStore } from "../start-store.ts";
import type { StopStack } from "../stop-stack.ts";
import { VERSION } from "../version.ts";

/** `jobmesh scheduler`. */
export function run(argv: readonly string[]): Promise<number> {
  return runProcess(argv, {
    process: "scheduler",
    usage: "jobmesh scheduler [options]",
    start,
    onStop: (log) => log.info({}, "stopping"),
  });
}

async function start(config: SchedulerConfig, log: Logger, stops: StopStack): Promise<void> {
  const clock = new SystemClock();
  const random = new SystemRandom();
  const schedulerId = config.schedulerId ?? newSchedulerId(random);
  const tracing = await createTracing({ clock, random, log }, config, {
    serviceName: "jobmesh-scheduler",
    instanceId: schedulerId,
    version: VERSION,
  });
  stops.add("tracing", () => tracing.stop(config.stopGraceMs));
  const { store, name } = await startStore(config, { clock, random });
  stops.add("store", () => store.stop());
  const registry =
    config.etcdEndpoints === null ? new MemoryRegistry(clock) : await openRegistry(config, { clock, random, log });
  await registry.start();
  stops.add("registry", () => registry.stop());
  const bus = config.kafkaBrokers === null ? null : await openBus(config, { clock, random, log });
  if (bus !== null) {
    const stopping = new AbortController();
    stops.add("bus", () => {
      stopping.abort();
      return bus.stop();
    });
    await startBus(bus, { clock, log }, stopping.signal);
  }
  const parts = { store, bus, registry, clock, random, tracing, log, embeddedExecutor: null };
  const { address, httpAddress } = await serveScheduler(parts, { ...config, schedulerId }, stops);
  log.info({ address, httpAddress, store: name }, "the scheduler serves");
}
