import { Job as JobMessage } from "../../../gen/jobmesh/v1/job.ts";
import type {
  CreateJobRequest,
  DeleteJobRequest,
  GetJobRequest,
  JobServiceService,
  ListJobsRequest,
  PauseJobRequest,
  PreviewScheduleRequest,
  ResumeJobRequest,
  RunJobRequest,
  UpdateJobRequest,
} from "../../../gen/jobmesh/v1/job_service.ts";
import { compileSchedule } from "../../common/domain/schedule/compiled-schedule.ts";
import { describeSchedule } from "../../common/domain/schedule/describe-schedule.ts";
import { previewSchedule } from "../../common/domain/schedule/preview-schedule.ts";
import { scheduleLimits } from "../../common/domain/schedule/schedule.ts";
import type { CallContext, Handlers } from "../../common/rpc/contract.ts";
import { executionToMessage } from "../../common/wire/execution.ts";
import { jobToMessage } from "../../common/wire/job.ts";
import { timestampOfUs } from "../../common/wire/time.ts";
import type { MeshClock } from "../mesh-clock.ts";
import { readNamespaceFilter } from "./execution-filter.ts";
import { FieldFaults } from "./field-faults.ts";
import type { ChangedJob, JobKeeper } from "./job-keeper.ts";
import type { JobName } from "./job-lookup.ts";
import { DEFAULT_NAMESPACE } from "./job-reader.ts";
import { cutPage, readPageSize } from "./page.ts";
import { readSchedule } from "./schedule-check.ts";
import { withStoreErrors } from "./store-errors.ts";
import type { Submissions } from "./submissions.ts";

/** Fires that PreviewSchedule lists when no count is given, and at most. */
const DEFAULT_PREVIEW_COUNT = 10;
const MAX_PREVIEW_COUNT = 1_000;
/** What `H` is spread by in a schedule that is of no job. */
const SPREAD_OF_PREVIEW = "preview";

/** Characters of a pause's reason. */
const MAX_REASON_CHARACTERS = 1_000;

/** What JobService is made of. */
export type JobServiceDeps = {
  readonly keeper: JobKeeper;
  readonly submissions: Submissions;
  readonly meshClock: MeshClock;
};

/** JobService: keeps job definitions. */
export function jobHandlers(deps: JobServiceDeps): Handlers<typeof JobServiceService> {
  const { keeper } = deps;
  return withStoreErrors<Handlers<typeof JobServiceService>>({
    createJob: async (request: CreateJobRequest) => ({ job: jobToMessage(await keeper.create(request)) }),
    getJob: async (request: GetJobRequest) => ({ job: jobToMessage(await keeper.get(readJobName(request))) }),
    listJobs: (request: ListJobsRequest) => listJobs(keeper, request),
    updateJob: async (request: UpdateJobRequest, context: CallContext) =>
      changedMessage(await keeper.update(request, context)),
    deleteJob: async (request: DeleteJobRequest, context: CallContext) => ({
      unstoppedExecutionIds: [...(await keeper.delete(request, readJobName(request), context))],
    }),
    pauseJob: async (request: PauseJobRequest, context: CallContext) =>
      changedMessage(await pause(keeper, request, context)),
    resumeJob: async (request: ResumeJobRequest) => ({ job: jobToMessage(await keeper.resume(readJobName(request))) }),
    runJob: async (request: RunJobRequest, context: CallContext) => ({
      execution: executionToMessage(await deps.submissions.run(request, context), true),
    }),
    previewSchedule: (request: PreviewScheduleRequest) => preview(deps.meshClock, request),
  });
}

/** Namespace and identifier that a request names. Throws INVALID_ARGUMENT for them and what was noted before. */
export function readJobName(request: JobName, faults: FieldFaults = new FieldFaults()): JobName {
  const namespace = faults.identifier("namespace", request.namespace, DEFAULT_NAMESPACE);
  const jobId = faults.identifier("job_id", request.jobId, null);
  faults.throwIfAny();
  return { namespace, jobId };
}

function changedMessage({ job, unstopped }: ChangedJob) {
  return { job: jobToMessage(job), unstoppedExecutionIds: [...unstopped] };
}

function pause(keeper: JobKeeper, request: PauseJobRequest, context: CallContext) {
  const faults = new FieldFaults();
  const reason = faults.text("reason", request.reason, MAX_REASON_CHARACTERS);
  return keeper.pause(readJobName(request, faults), reason, context);
}

async function listJobs(keeper: JobKeeper, request: ListJobsRequest) {
  const faults = new FieldFaults();
  faults.unsupported("min_consecutive_failures", request.minConsecutiveFailures !== 0n);
  const filter = {
    namespace: readNamespaceFilter(faults, "namespace", request.namespace),
    labels: faults.labels("labels", request.labels),
    jobIdPrefix: faults.identifier("job_id_prefix", request.jobIdPrefix, ""),
    paused: request.paused ?? null,
    handlerMethod: faults.text("handler_method", request.handlerMethod, 255),
  };
  const pageSize = readPageSize(faults, request.pageSize);
  faults.throwIfAny();
  const page = await cutPage(pageSize, request.pageToken, (size, token) => keeper.list(filter, size, token), {
    toMessage: jobToMessage,
    type: JobMessage,
  });
  return { jobs: page.messages, nextPageToken: page.nextPageToken };
}

function preview(meshClock: MeshClock, request: PreviewScheduleRequest) {
  const faults = new FieldFaults();
  const schedule = readSchedule(faults, "schedule", request.schedule);
  if (request.schedule === undefined) faults.add("schedule", "is required");
  const count = faults.whole("count", request.count, { min: 1, max: MAX_PREVIEW_COUNT, unset: DEFAULT_PREVIEW_COUNT });
  const afterUs = faults.timestampUs("after_time", request.afterTime);
  faults.throwIfAny();
  if (schedule === null) throw new TypeError("unreachable: a schedule without a fault is there");
  const afterMs = Math.floor((afterUs ?? meshClock.nowUs()) / 1000);
  const compiled = compileSchedule(schedule, afterMs, SPREAD_OF_PREVIEW);
  const fires = previewSchedule(compiled, afterMs, count).filter((fireMs) => fireMs <= scheduleLimits.maxInstantMs);
  return {
    fireTimes: fires.map((fireMs) => timestampOfUs(fireMs * 1000)),
    description: describeSchedule(schedule, SPREAD_OF_PREVIEW),
  };
}
