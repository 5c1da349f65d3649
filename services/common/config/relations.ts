import type { FieldViolation } from "../error/jobmesh-error.ts";
import { formatHostPort, parseHostPort } from "./listen-address.ts";
import { checkSecurity, type GuardedValues } from "./security-relations.ts";
import { violation } from "./setting.ts";
import { formatDuration } from "./value-text.ts";

/** A config of any process: what is not among its settings is not there. */
export interface RelatedValues extends GuardedValues {
  readonly heartbeatMs?: number;
  readonly suspectMs?: number;
  readonly leaseMs?: number;
  readonly lossMs?: number;
  readonly sessionLeaseMs?: number;
  readonly leaseMarginMs?: number;
  readonly executionEvents?: boolean;
}

/** Every relation between values that does not hold, named by the settings' environment variables. */
export function checkRelations(values: RelatedValues): FieldViolation[] {
  return [...checkTimes(values), ...checkSecurity(values), ...checkAddresses(values), ...checkEvents(values)];
}

type TimeName = "heartbeatMs" | "suspectMs" | "leaseMs" | "lossMs" | "sessionLeaseMs" | "leaseMarginMs";

/** Pairs of times of which the first has to be shorter: the shorter one acts before the longer one is over. */
const SHORTER: readonly (readonly [TimeName, TimeName])[] = [
  ["heartbeatMs", "suspectMs"],
  ["suspectMs", "leaseMs"],
  ["leaseMs", "lossMs"],
  ["suspectMs", "sessionLeaseMs"],
  ["leaseMarginMs", "leaseMs"],
];

const ENVS: Readonly<Record<TimeName, string>> = {
  heartbeatMs: "JOBMESH_HEARTBEAT",
  suspectMs: "JOBMESH_SUSPECT",
  leaseMs: "JOBMESH_LEASE",
  lossMs: "JOBMESH_LOSS",
  sessionLeaseMs: "JOBMESH_SESSION_LEASE",
  leaseMarginMs: "JOBMESH_LEASE_MARGIN",
};

function checkTimes(values: RelatedValues): FieldViolation[] {
  const faults: FieldViolation[] = [];
  for (const [shorter, longer] of SHORTER) {
    const [low, high] = [values[shorter], values[longer]];
    if (low === undefined || high === undefined || low < high) continue;
    const description = `must be less than ${ENVS[longer]}, which is ${formatDuration(high)}; was ${formatDuration(low)}`;
    faults.push(violation(ENVS[shorter], description));
  }
  return faults;
}

function checkAddresses(values: RelatedValues): FieldViolation[] {
  const faults: FieldViolation[] = [];
  const { listen, httpListen, advertise, scheduler, etcdEndpoints } = values;
  if (listen !== undefined && httpListen === listen && parseHostPort(listen)?.port !== 0) {
    faults.push(violation("JOBMESH_HTTP_LISTEN", `must differ from JOBMESH_LISTEN; both were ${listen}`));
  }
  const host = listen === undefined ? undefined : parseHostPort(listen)?.host;
  if (advertise === null && etcdEndpoints && (host === "0.0.0.0" || host === "::")) {
    const where = formatHostPort({ host, port: 0 }).replace(/:0$/, "");
    faults.push(violation("JOBMESH_ADVERTISE", `must be set: ${where} is not an address that others can dial`));
  }
  if (scheduler?.startsWith("etcd:") && !etcdEndpoints) {
    faults.push(violation("JOBMESH_ETCD_ENDPOINTS", `must be set, because JOBMESH_SCHEDULER is ${scheduler}`));
  }
  return faults;
}

/** The embedded mesh has no Kafka at all. */
function checkEvents({ executionEvents = false, kafkaBrokers }: RelatedValues): FieldViolation[] {
  if (!executionEvents || kafkaBrokers) return [];
  const why = kafkaBrokers === undefined ? "the embedded mesh has no Kafka" : "JOBMESH_KAFKA_BROKERS is not set";
  return [violation("JOBMESH_EXECUTION_EVENTS", `must be false, because ${why}`)];
}
