/** The embedded mesh with a handler that does nothing, in a process of its own. Forked by mesh.ts. */

import { openEmbeddedExecutor } from "../services/cli/embedded-executor.ts";
import { serveScheduler } from "../services/cli/scheduler-process.ts";
import { startStore } from "../services/cli/start-store.ts";
import { StopStack } from "../services/cli/stop-stack.ts";
import { MemoryRegistry } from "../services/common/adapter/memory/registry.ts";
import { loadConfig } from "../services/common/config/load-config.ts";
import { createLogger } from "../services/common/runtime/log.ts";
import { SystemClock } from "../services/common/runtime/system-clock.ts";
import { SystemRandom } from "../services/common/runtime/system-random.ts";
import { createTracing } from "../services/common/telemetry/create-tracing.ts";
import { HandlerRunner } from "../services/executor/target/handler.ts";
import { descriptorHash, descriptors, noopHandler } from "./noop-handler.ts";
import { RunRecord, serveRecord } from "./run-record.ts";

const { config } = loadConfig("dev", { env: process.env, argv: process.argv.slice(2) });
const log = createLogger({ level: "warn", serviceName: "bench" });
const clock = new SystemClock();
const random = new SystemRandom();
const record = new RunRecord();
const stops = new StopStack(log);
const tracing = await createTracing({ clock, random, log }, config, {
  serviceName: "jobmesh-bench",
  instanceId: "bench",
  version: "bench",
});
const { store } = await startStore(config, { clock, random });
stops.add("store", () => store.stop());
const embedded = await openEmbeddedExecutor(
  config,
  { store, clock, random, tracing, log },
  {
    runners: [new HandlerRunner(clock, noopHandler(record))],
    descriptorSet: (hash) => (hash === descriptorHash ? descriptors : undefined),
  },
);
const parts = {
  store,
  bus: null,
  registry: new MemoryRegistry(clock),
  clock,
  random,
  tracing,
  log,
  embeddedExecutor: embedded.executorId,
};
const { scheduler, address } = await serveScheduler(parts, { ...config, schedulerId: "bench", advertise: null }, stops);
await embedded.start(scheduler);
stops.add("executor", () => embedded.stop());
serveRecord(record, () => stops.stop());
process.send?.({ kind: "ready", address });
