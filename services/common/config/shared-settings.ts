/** Settings that more than one process has. Defaults of timings are the values of docs/guarantees.md. */

import { isIP } from "node:net";
import { MAX_LANES } from "../domain/executor.ts";
import { validateTimeZone } from "../domain/schedule/time-zone.ts";
import { LOG_LEVELS } from "../runtime/log.ts";
import { readRoots } from "./security-settings.ts";
import {
  bytes,
  choice,
  custom,
  duration,
  hostPort,
  hostPorts,
  integer,
  optional,
  type Reading,
  secret,
  text,
  toggle,
} from "./setting.ts";

/** Where the store is. */
export type StoreTarget =
  | { readonly kind: "sqlite"; readonly path: string }
  /** The URL holds a password: never print it, but describeStore of it. */
  | { readonly kind: "mysql"; readonly url: string };

/** In a MySQL URL: by which certificates the server is verified, as JOBMESH_TLS_CA has them; TLS then. */
const STORE_TLS = "ssl-ca";

/** Identifiers of executors and schedulers, and the cluster's name. */
export const IDENTIFIER = /^[A-Za-z0-9._-]{1,64}$/;
const IDENTIFIER_TAKES = "1 to 64 of [A-Za-z0-9._-]";

/** The cluster is part of topic names, which are shorter, and of etcd keys. */
const CLUSTER = /^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$/;

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** What is logged. */
export const log = {
  logLevel: choice(
    { env: "JOBMESH_LOG_LEVEL", default: "info", meaning: "Lowest level of what is logged." },
    LOG_LEVELS,
  ),
};

/** Which mesh. */
export const cluster = {
  cluster: text(
    {
      env: "JOBMESH_CLUSTER",
      default: "jobmesh",
      meaning: "Name of the mesh: prefix of etcd keys, topics and groups, so that meshes share backends.",
    },
    CLUSTER,
    "1 to 32 of [A-Za-z0-9._-], a letter or digit first",
  ),
};

/** Where Kafka and etcd are. */
export const backends = {
  kafkaBrokers: optional((declared) => hostPorts(declared), {
    env: "JOBMESH_KAFKA_BROKERS",
    meaning: "Kafka brokers. Without them work and results travel by the executors' sessions.",
  }),
  etcdEndpoints: optional((declared) => hostPorts(declared, ["http://", "https://"]), {
    env: "JOBMESH_ETCD_ENDPOINTS",
    meaning: "etcd. Without it there is one scheduler, and its address is given to all.",
  }),
};

/** Where a process keeps its files. */
export const dataDir = { dataDir: dataFolder("./.jobmesh") };

/** The same for an executor of its own: beside an embedded mesh in the same folder neither is in the other's way. */
export const executorDataDir = { dataDir: dataFolder("./.jobmesh-executor") };

function dataFolder(fallback: string) {
  return custom<string>(
    {
      env: "JOBMESH_DATA_DIR",
      default: fallback,
      meaning: "Folder for what the process keeps; one process at a time.",
    },
    "path",
    (given) => (given.includes("\0") ? { fault: "must be a path" } : { value: given }),
  );
}

/** Where the store is. */
export const store = {
  store: secret(
    optional((declared) => custom(declared, "sqlite:PATH | mysql://USER:PASSWORD@HOST:PORT/DATABASE", readStore), {
      env: "JOBMESH_STORE",
      meaning:
        "The store, which is the truth. Unset: SQLite in the data folder. ?ssl-ca=path | system at the end of a MySQL URL is TLS.",
    }),
  ),
  adoptTimeZone: custom<string>(
    {
      env: "JOBMESH_ADOPT_TIME_ZONE",
      default: "UTC",
      meaning:
        "Zone of the times and cron expressions of a database that is adopted: that of its schedulers' machines.",
    },
    "IANA time zone",
    (given) => (validateTimeZone(given) ? { value: given } : { fault: "must be an IANA time zone, such as UTC" }),
  ),
};

/** For whoever knows that nobody listens in between. */
export const insecure = {
  insecure: toggle({
    env: "JOBMESH_INSECURE",
    default: "false",
    meaning: "Allows listeners beyond loopback without TLS and token, and a token that goes there in clear text.",
  }),
};

/** What a scheduler listens on. */
export const listeners = {
  listen: hostPort({ env: "JOBMESH_LISTEN", default: "127.0.0.1:7070", meaning: "Address of the gRPC services." }),
  httpListen: hostPort({
    env: "JOBMESH_HTTP_LISTEN",
    default: "127.0.0.1:7071",
    meaning: "Address of /metrics, /healthz and /readyz.",
  }),
  ...insecure,
  maxMessageBytes: bytes(
    { env: "JOBMESH_MAX_MESSAGE_BYTES", default: "4MiB", meaning: "Largest gRPC request." },
    { min: 1024 ** 2, max: 64 * 1024 ** 2 },
  ),
};

/** What an executor listens on. */
export const executorHttp = {
  httpListen: optional(hostPort, {
    env: "JOBMESH_HTTP_LISTEN",
    meaning: "Address of /metrics, /healthz and /readyz; unset: none.",
  }),
  ...insecure,
};

/** How long silence may last, for executors and schedulers alike. */
export const liveness = {
  heartbeatMs: duration(
    { env: "JOBMESH_HEARTBEAT", default: "1s", meaning: "Time between an executor's heartbeats." },
    { min: 100, max: MINUTE },
  ),
  suspectMs: duration(
    { env: "JOBMESH_SUSPECT", default: "3s", meaning: "Silence after which an executor gets no new work." },
    { min: 200, max: 5 * MINUTE },
  ),
  leaseMs: duration(
    { env: "JOBMESH_LEASE", default: "5s", meaning: "Lease of executors and schedulers in etcd." },
    { min: 2 * SECOND, max: 10 * MINUTE },
  ),
  lossMs: duration(
    { env: "JOBMESH_LOSS", default: "6s", meaning: "Silence, with the lease gone, after which an executor is lost." },
    { min: 3 * SECOND, max: 20 * MINUTE },
  ),
  sessionLeaseMs: duration(
    { env: "JOBMESH_SESSION_LEASE", default: "45s", meaning: "Lease of executors without etcd." },
    { min: 2 * SECOND, max: HOUR },
  ),
  leaseMarginMs: duration(
    {
      env: "JOBMESH_LEASE_MARGIN",
      default: "1s",
      meaning: "An executor that is cut off stops its attempts this long before its lease ends.",
    },
    { min: 100, max: MINUTE },
  ),
  killGraceMs: duration(
    { env: "JOBMESH_KILL_GRACE", default: "10s", meaning: "Between the polite and the forced stop of an attempt." },
    { min: 0, max: HOUR },
  ),
};

/** Topics that jobmesh makes; the same in the whole mesh. */
export const lanes = {
  laneCount: integer(
    { env: "JOBMESH_LANES", default: "256", meaning: "Partitions of the dispatch topic." },
    { min: 1, max: MAX_LANES },
  ),
  resultPartitionCount: integer(
    { env: "JOBMESH_RESULT_PARTITIONS", default: "16", meaning: "Partitions of the result topic." },
    { min: 1, max: 1024 },
  ),
  kafkaReplication: integer(
    { env: "JOBMESH_KAFKA_REPLICATION", default: "1", meaning: "Replicas of topics that jobmesh makes." },
    { min: 1, max: 9 },
  ),
};

/** How a process stops. */
export const stopping = {
  stopGraceMs: duration(
    {
      env: "JOBMESH_STOP_GRACE",
      default: "10s",
      meaning: "Time for calls and attempts that run when the process is asked to stop; a second signal ends it.",
    },
    { min: 0, max: 24 * HOUR },
  ),
};

/** An optional identifier. */
export function identifier(env: string, meaning: string) {
  return optional((declared) => text(declared, IDENTIFIER, IDENTIFIER_TAKES), { env, meaning });
}

/** Names a store for people: without user and password. */
export function describeStore(target: StoreTarget): string {
  if (target.kind === "sqlite") return `sqlite:${target.path}`;
  const { host, pathname } = new URL(target.url);
  return `mysql://${host}${pathname}`;
}

function readStore(given: string): Reading<StoreTarget> {
  if (/^sqlite:[^\0]+$/.test(given)) return { value: Object.freeze({ kind: "sqlite", path: given.slice(7) }) };
  const fault = "must be sqlite:PATH or mysql://USER:PASSWORD@HOST:PORT/DATABASE";
  if (!given.startsWith("mysql://") || !URL.canParse(given)) return { fault };
  const { host, hostname, pathname, searchParams } = new URL(given);
  if (host === "" || !/^\/[^/]+$/.test(pathname)) return { fault };
  const [roots, ...more] = searchParams;
  if (more.length > 0 || (roots !== undefined && roots[0] !== STORE_TLS)) return { fault: `${fault}[?${STORE_TLS}=…]` };
  const read = roots === undefined ? null : readRoots(roots[1]);
  if (read !== null && isIP(hostname.replace(/^\[|\]$/g, "")) !== 0)
    return { fault: `must name its host, not its address, where it has ${STORE_TLS}` };
  if (read !== null && "fault" in read) return { fault: `${STORE_TLS} in its URL ${read.fault}` };
  return { value: Object.freeze({ kind: "mysql", url: given }) };
}
