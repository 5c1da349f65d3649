import { MemoryRegistry } from "../../common/adapter/memory/registry.ts";
import type { DevConfig } from "../../common/config/process-settings.ts";
import { registerNameSource } from "../../common/rpc/name-resolver.ts";
import { registryNames } from "../../common/rpc/registry-names.ts";
import type { Logger } from "../../common/runtime/log.ts";
import { SystemClock } from "../../common/runtime/system-clock.ts";
import { SystemRandom } from "../../common/runtime/system-random.ts";
import { listenerSecurity } from "../../common/security/link-security.ts";
import { createTracing } from "../../common/telemetry/create-tracing.ts";
import { DEFAULT_TARGET } from "../connection.ts";
import { openDataFolder } from "../data-folder.ts";
import { openEmbeddedExecutor } from "../embedded-executor.ts";
import { EndedLines } from "../ended-lines.ts";
import { createExampleJobs } from "../example-jobs.ts";
import { runProcess } from "../run-process.ts";
import { serveScheduler } from "../scheduler-process.ts";
import { startStore } from "../start-store.ts";
import type { StopStack } from "../stop-stack.ts";
import { VERSION } from "../version.ts";

/** `jobmesh dev`, which `npm start` runs: the embedded mesh. */
export function run(argv: readonly string[]): Promise<number> {
  return runProcess(argv, {
    process: "dev",
    usage: "jobmesh dev [options]   (npm start -- [options])",
    start,
    onStop: () => process.stdout.write(stoppingLine()),
  });
}

async function start(config: DevConfig, log: Logger, stops: StopStack): Promise<void> {
  const folder = openDataFolder(config.dataDir);
  const clock = new SystemClock();
  const random = new SystemRandom();
  const process_ = { serviceName: "jobmesh-dev", instanceId: "dev", version: VERSION };
  const tracing = await createTracing({ clock, random, log }, config, process_);
  stops.add("tracing", () => tracing.stop(config.stopGraceMs));
  const { store, name } = await startStore(config, { clock, random });
  stops.add("store", () => store.stop());
  const registry = new MemoryRegistry(clock);
  stops.add("registry", () => registry.stop());
  // gRPC targets find the mesh itself as in a mesh with etcd: etcd:///scheduler.
  stops.add("names", registerNameSource(registryNames(registry)));
  const embedded = await openEmbeddedExecutor(config, { store, clock, random, tracing, log });
  stops.add("executor's folder", () => embedded.close());
  const parts = { store, bus: null, registry, clock, random, tracing, log, embeddedExecutor: embedded.executorId };
  const { scheduler, metrics, address, httpAddress, leave } = await serveScheduler(
    parts,
    { ...config, schedulerId: "dev", advertise: null },
    stops,
  );
  const lines = new EndedLines({ store, hints: scheduler.hints, log });
  lines.start();
  stops.add("lines", () => lines.stop());
  if (folder.isNew) await createExampleJobs(scheduler.services(), clock.wallUs());
  folder.begun();
  await embedded.start(scheduler, metrics);
  stops.add("executor", () => embedded.stop());
  // What runs may take its time to end; whoever balances load hears at once.
  stops.add("health", leave);
  process.stdout.write(greeting(config, { address, httpAddress, name }));
  lines.open();
}

/** Below the ^C that a terminal shows. */
function stoppingLine(): string {
  return `${process.stdout.isTTY ? "\n" : ""}stopping, once what runs has ended; Ctrl-C again stops at once\n`;
}

function greeting(config: DevConfig, facts: { address: string; httpAddress: string; name: string }): string {
  const { tls, tokens } = listenerSecurity(config);
  const where = facts.address === DEFAULT_TARGET ? "" : ` --scheduler ${facts.address}`;
  const shown = tls?.clientCa ? " -cert CERT.pem -key KEY.pem" : "";
  const trust = tls === null ? " -plaintext" : ` -cacert CA.pem${shown}`;
  const token = tokens.length === 0 ? "" : " -H 'authorization: Bearer TOKEN'";
  return [
    `jobmesh ${VERSION} is ready`,
    `  gRPC     ${facts.address}`,
    `  metrics  ${tls === null ? "http" : "https"}://${facts.httpAddress}/metrics`,
    `  data     ${facts.name}`,
    "Try next, in another terminal:",
    `  npx jobmesh run${where} -- 'echo hello from $(hostname)'`,
    `  npx jobmesh status${where}`,
    `  grpcurl${trust}${token} ${facts.address} jobmesh.v1.JobService/ListJobs`,
    "",
    "",
  ].join("\n");
}
