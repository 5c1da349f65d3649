import { MAX_AHEAD_US } from "../domain/held-fire.ts";
import { etcdTls, kafkaUse } from "./backend-settings.ts";
import { clientCertificates, tls, tlsName, tokens } from "./security-settings.ts";
import { bytes, duration, hostPort, integer, optional, toggle } from "./setting.ts";
import {
  backends,
  cluster,
  dataDir,
  identifier,
  lanes,
  listeners,
  liveness,
  log,
  stopping,
  store,
} from "./shared-settings.ts";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** What the loops of a scheduler, and so those of the embedded mesh, are set by. */
export const schedulerLoops = {
  reportDelayMs: duration(
    {
      env: "JOBMESH_REPORT_DELAY",
      default: "250ms",
      meaning: "An attempt that ends sooner is reported by its result alone.",
    },
    { min: 0, max: MINUTE },
  ),
  sweepMs: duration(
    { env: "JOBMESH_SWEEP", default: "250ms", meaning: "Between sweeps for READY work, waiters at gates and stops." },
    { min: 20, max: MINUTE },
  ),
  lookAheadMs: duration(
    { env: "JOBMESH_LOOK_AHEAD", default: "2s", meaning: "How far ahead the timer reads fires from the store." },
    { min: 200, max: 10 * MINUTE },
  ),
  aheadMs: duration(
    {
      env: "JOBMESH_AHEAD",
      default: "300ms",
      meaning: "How long before its time a fire is sent to an executor, which holds it; 0 for not at all.",
    },
    { min: 0, max: MAX_AHEAD_US / 1_000 },
  ),
  missedMs: duration(
    { env: "JOBMESH_MISSED", default: "15s", meaning: "A fire that is later than this was missed." },
    { min: SECOND, max: 24 * HOUR },
  ),
  backstopMs: duration(
    { env: "JOBMESH_BACKSTOP", default: "2s", meaning: "Any scheduler takes a fire or row overdue by this." },
    { min: 200, max: 10 * MINUTE },
  ),
  resultBackstopMs: duration(
    {
      env: "JOBMESH_RESULT_BACKSTOP",
      default: "3s",
      meaning: "Any scheduler takes a result partition that stands still this long.",
    },
    { min: 200, max: 10 * MINUTE },
  ),
  resultBatchRows: integer(
    { env: "JOBMESH_RESULT_BATCH", default: "1000", meaning: "Results stored in one transaction." },
    { min: 1, max: 10_000 },
  ),
  submitGroupRows: integer(
    { env: "JOBMESH_SUBMIT_GROUP", default: "500", meaning: "Submissions stored in one transaction." },
    { min: 1, max: 5_000 },
  ),
  submitGroupBytes: bytes(
    { env: "JOBMESH_SUBMIT_GROUP_BYTES", default: "4MiB", meaning: "Their size, at most." },
    { min: 64 * 1024, max: 64 * 1024 ** 2 },
  ),
  maxWaitingExecutions: integer(
    {
      env: "JOBMESH_MAX_WAITING",
      default: "1000000",
      meaning: "READY executions at which submissions are refused; schedules and retries never are.",
    },
    { min: 1, max: 10_000_000 },
  ),
  claimRows: integer(
    { env: "JOBMESH_CLAIM", default: "500", meaning: "Executions claimed by one query." },
    { min: 1, max: 5_000 },
  ),
  lossBusWaitMs: duration(
    {
      env: "JOBMESH_LOSS_BUS_WAIT",
      default: "30s",
      meaning:
        "Where a lost executor's results cannot be awaited because Kafka is away, its attempts run again after this.",
    },
    { min: 0, max: 24 * HOUR },
  ),
  retentionMs: duration(
    {
      env: "JOBMESH_RETENTION",
      default: "30d",
      meaning: "Ended executions with their attempts and output are kept this long where their policy does not say.",
    },
    { min: MINUTE, max: 3_660 * 24 * HOUR },
  ),
  executionEvents: toggle({
    env: "JOBMESH_EXECUTION_EVENTS",
    default: "false",
    meaning: "State changes of executions are written to the Kafka topic CLUSTER.execution.v1; it needs Kafka.",
  }),
};

/** Settings of `jobmesh scheduler`. */
export const schedulerSettings = {
  ...listeners,
  advertise: optional(hostPort, {
    env: "JOBMESH_ADVERTISE",
    meaning: "Address that others reach this scheduler by; unset: the address it listens on.",
  }),
  ...tls,
  ...tlsName,
  ...clientCertificates,
  ...tokens,
  schedulerId: identifier("JOBMESH_SCHEDULER_ID", "Identifier in the mesh; unset: a new one at each start."),
  ...dataDir,
  ...store,
  ...backends,
  ...etcdTls,
  ...kafkaUse,
  ...cluster,
  ...log,
  ...liveness,
  ...schedulerLoops,
  ...lanes,
  ...stopping,
};
