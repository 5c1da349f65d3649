import { MeshClient } from "../client/mesh-client.ts";
import { type LoadedConfig, loadConfig } from "../common/config/load-config.ts";
import type { ClientConfig } from "../common/config/process-settings.ts";
import { renderHelp } from "../common/config/render-settings.ts";
import { JobmeshError } from "../common/error/jobmesh-error.ts";
import { createLogger } from "../common/runtime/log.ts";
import { SystemClock } from "../common/runtime/system-clock.ts";
import { SystemRandom } from "../common/runtime/system-random.ts";
import { channelSecurity } from "../common/security/link-security.ts";
import { optionsOf } from "../common/security/security-options.ts";
import { createTracing } from "../common/telemetry/create-tracing.ts";
import type { Tracing } from "../common/telemetry/tracing.ts";
import { VERSION } from "./version.ts";

/** A command that calls the mesh: its client, and what is left of its arguments. */
export type Connection = {
  readonly client: MeshClient;
  readonly config: ClientConfig;
  readonly rest: readonly string[];
};

/** A person waits for the command: spans that are not gone by then are given up. */
const TRACING_STOP_MS = 2_000;

/** For the call that tells why others had no connection. */
const LAST_LOOK_MS = 2_000;

/** Target where nothing else is said: the embedded mesh. */
export const DEFAULT_TARGET = "127.0.0.1:7070";

/**
 * Reads the settings of a client, connects, and does the work, which answers
 * the exit code; 0 after `--help`, which is printed. Where nobody answers, the
 * error says where, and what would help.
 */
export async function withConnection(
  argv: readonly string[],
  usage: string,
  work: (connection: Connection) => Promise<number>,
): Promise<number> {
  const loaded: LoadedConfig<ClientConfig> = loadConfig("client", { env: process.env, argv });
  if (loaded.help) {
    process.stdout.write(renderHelp("client", usage));
    return 0;
  }
  const { config, rest } = loaded;
  const names = config.etcdEndpoints === null ? null : await openNames(config);
  const target = config.scheduler ?? (names === null ? DEFAULT_TARGET : "etcd:///scheduler");
  const tracing = await openTracing(config);
  const security = optionsOf(channelSecurity(config));
  const client = new MeshClient({ target, waitForReady: names !== null, tracing, ...security });
  try {
    return await work({ client, config, rest });
  } catch (thrown) {
    throw namingTarget(target, await sayingMore(client, JobmeshError.from(thrown)));
  } finally {
    client.close();
    await names?.close();
    await tracing.stop(TRACING_STOP_MS);
  }
}

/** By OTEL_*: what a command submits is then one trace from the command on. */
function openTracing(config: ClientConfig): Promise<Tracing> {
  const log = createLogger({ level: config.logLevel, serviceName: "jobmesh-client" });
  const process_ = { serviceName: "jobmesh-client", instanceId: String(process.pid), version: VERSION };
  return createTracing({ clock: new SystemClock(), random: new SystemRandom(), log }, config, process_);
}

/** A call that waited for a connection in vain does not say why there was none; one that does not wait does. */
async function sayingMore(client: MeshClient, error: JobmeshError): Promise<JobmeshError> {
  if (error.reason !== "DEADLINE") return error;
  const options = { waitForReady: false, timeoutMs: LAST_LOOK_MS };
  const last = await client.mesh.getMeshStatus({}, options).then(() => error, JobmeshError.from);
  return last.reason === "PEER_UNAVAILABLE" ? last : error;
}

/** gRPC's own words about a connection that cannot be made are not for people. */
function namingTarget(target: string, error: JobmeshError): JobmeshError {
  if (error.reason === "UNAUTHENTICATED") {
    const message = `the scheduler at ${target} refuses the call: it needs its token in JOBMESH_TOKEN_FILE or JOBMESH_TOKEN`;
    return new JobmeshError("UNAUTHENTICATED", { message, cause: error });
  }
  if (error.reason !== "PEER_UNAVAILABLE") return error;
  const message = `no scheduler answers at ${target}${whyOf(error.message)}; is it started? --scheduler names another`;
  return new JobmeshError("PEER_UNAVAILABLE", { message, cause: error });
}

/** What of gRPC's words tells a person something: the system's name of the error, and what TLS does not like. */
function whyOf(words: string): string {
  if (/certificate|altnames|TLS|SSL/i.test(words)) {
    return ` by the TLS that is set (${words.replace(/^.*Last error: /s, "").trim()})`;
  }
  const [code] = /\bE[A-Z]{4,}\b/.exec(words) ?? [];
  return code === undefined ? "" : ` (${code})`;
}

async function openNames(config: ClientConfig): Promise<{ close(): Promise<void> }> {
  const { openMeshNames } = await import("./mesh-names.ts");
  return openMeshNames(config);
}
