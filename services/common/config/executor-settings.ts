import { etcdTls, kafkaUse } from "./backend-settings.ts";
import { parseHostPort } from "./listen-address.ts";
import { clientCertificates, tls, tlsName, tokens } from "./security-settings.ts";
import { bytes, custom, duration, integer, labels, list, optional, type Reading, toggle } from "./setting.ts";
import {
  backends,
  cluster,
  executorDataDir,
  executorHttp,
  IDENTIFIER,
  identifier,
  lanes,
  liveness,
  log,
  stopping,
} from "./shared-settings.ts";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** Where a client or an executor finds schedulers. */
export const scheduler = {
  scheduler: optional((declared) => custom(declared, "etcd:///NAME | host:port", readTarget), {
    env: "JOBMESH_SCHEDULER",
    meaning: "Where the schedulers are; unset: etcd:///scheduler with etcd, else 127.0.0.1:7070.",
  }),
};

/** What an executor runs with, on its own or in the embedded mesh. */
export const executorWork = {
  executorId: identifier("JOBMESH_EXECUTOR_ID", "Identifier in the mesh; unset: one kept in the data folder."),
  slots: integer(
    { env: "JOBMESH_SLOTS", default: "16", meaning: "Attempts that the executor runs at once." },
    { min: 1, max: 100_000 },
  ),
  labels: labels({ env: "JOBMESH_LABELS", default: "", meaning: "Labels that routing selects by." }),
  namespaces: list(
    { env: "JOBMESH_NAMESPACES", default: "", meaning: "Namespaces that the executor serves; all when empty." },
    IDENTIFIER,
    "namespace",
  ),
  allowHttp: toggle({
    env: "JOBMESH_ALLOW_HTTP",
    default: "true",
    meaning: "Sends HTTP requests of whoever may submit them; a program of handlers does only where set.",
  }),
  allowMetadataAddresses: toggle({
    env: "JOBMESH_ALLOW_METADATA_ADDRESSES",
    default: "false",
    meaning: "Lets targets reach link-local and cloud metadata addresses.",
  }),
  secretsDir: optional(
    (declared) =>
      custom<string>(declared, "path", (given) =>
        given.includes("\0") ? { fault: "must be a path" } : { value: given },
      ),
    {
      env: "JOBMESH_SECRETS_DIR",
      meaning: "Folder of secrets, a file each; one without a file is JOBMESH_SECRET_NAME.",
    },
  ),
  keptResultBytes: bytes(
    { env: "JOBMESH_KEPT_RESULT_BYTES", default: "64MiB", meaning: "Results kept until the store has them, in bytes." },
    { min: 1024 ** 2, max: 4 * 1024 ** 3 },
  ),
  keptResults: integer(
    {
      env: "JOBMESH_KEPT_RESULTS",
      default: "50000",
      meaning: "Results kept until the store has them; then no more work is taken.",
    },
    { min: 100, max: 1_000_000 },
  ),
  rememberedMs: duration(
    {
      env: "JOBMESH_REMEMBERED",
      default: "10s",
      meaning: "How long every key is remembered after its result is stored.",
    },
    { min: SECOND, max: HOUR },
  ),
  rememberedKeys: integer(
    { env: "JOBMESH_REMEMBERED_KEYS", default: "100000", meaning: "Keys remembered after that." },
    { min: 1_000, max: 10_000_000 },
  ),
  unackedOutputBytes: bytes(
    {
      env: "JOBMESH_UNACKED_OUTPUT",
      default: "256KiB",
      meaning: "Output sent and not yet stored, at which more waits.",
    },
    { min: 64 * 1024, max: 64 * 1024 ** 2 },
  ),
  stuckHandlerMs: duration(
    {
      env: "JOBMESH_STUCK_HANDLER",
      default: "5m",
      meaning: "A handler that has not settled this long after its stop ends the process.",
    },
    { min: SECOND, max: 24 * HOUR },
  ),
  allowGrpc: toggle({
    env: "JOBMESH_ALLOW_GRPC",
    default: "true",
    meaning: "Makes gRPC calls of whoever may submit them; programs of typed handlers only where it is set.",
  }),
};

/** Settings of `jobmesh executor`. */
export const executorSettings = {
  ...scheduler,
  ...executorWork,
  allowCommands: toggle({
    env: "JOBMESH_ALLOW_COMMANDS",
    default: "false",
    meaning: "Runs shell commands of whoever may submit them.",
  }),
  ...executorHttp,
  ...tls,
  ...tlsName,
  ...clientCertificates,
  ...tokens,
  ...executorDataDir,
  ...backends,
  ...etcdTls,
  ...kafkaUse,
  ...cluster,
  ...log,
  ...liveness,
  ...lanes,
  ...stopping,
};

function readTarget(given: string): Reading<string> {
  const isName = /^etcd:\/\/\/[A-Za-z0-9._-]{1,64}$/.test(given);
  if (isName || parseHostPort(given) !== null) return { value: given };
  return { fault: "must be etcd:///NAME or host:port" };
}
