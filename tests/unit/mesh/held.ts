/** Jobs of a whole mesh, by the handlers of its schedulers, for tests of what is held. */
import assert from "node:assert/strict";
import { ExecutionServiceService } from "../../../gen/jobmesh/v1/execution_service.ts";
import { type DeepPartial, Job, OverlapPolicy } from "../../../gen/jobmesh/v1/job.ts";
import { JobServiceService } from "../../../gen/jobmesh/v1/job_service.ts";
import { command } from "../../../services/client/targets.ts";
import { fireExecutionId } from "../../../services/common/domain/execution-id.ts";
import type { ExecutionId, JobUid } from "../../../services/common/domain/identifier.ts";
import { durationOfMs, timestampOfUs } from "../../../services/common/wire/time.ts";
import { MANUAL_CLOCK_START_US } from "../../support/manual-clock.ts";
import type { MeshRig, TestScheduler } from "./setup.ts";

type Call = (request: object, context: object) => Promise<Record<string, unknown>>;

/** A call of a scheduler's own handlers. */
export function call({ scheduler }: TestScheduler, method: string, request: object): Promise<Record<string, unknown>> {
  for (const service of [JobServiceService, ExecutionServiceService]) {
    const served = scheduler.services().find(({ definition }) => definition === service);
    const handlers = (served?.handlers ?? {}) as Readonly<Record<string, Call>>;
    const own = handlers[method];
    const never = new AbortController().signal;
    if (own !== undefined) return own(request, { signal: never, stopping: never, traceparent: null, tracestate: null });
  }
  return assert.fail(`no service has ${method}`);
}

/** Time between two fires of the job. */
export const PERIOD_MS = 5_000;

/** A job that fires each five seconds from five seconds after the clock's start on. */
export async function addTicker(scheduler: TestScheduler, more: DeepPartial<Job> = {}): Promise<JobUid> {
  const { uid } = (await call(scheduler, "createJob", { job: ticker(more), requestId: "", validateOnly: false }))
    .job as Job;
  return uid as JobUid;
}

/** The job, to be created or updated. */
export function ticker(more: DeepPartial<Job> = {}): Job {
  return Job.fromPartial({
    jobId: "ticker",
    target: command("true"),
    schedule: {
      when: { $case: "interval", value: durationOfMs(PERIOD_MS) },
      startTime: timestampOfUs(MANUAL_CLOCK_START_US + PERIOD_MS * 1_000),
      overlapPolicy: OverlapPolicy.OVERLAP_POLICY_ALLOW,
    },
    ...more,
  });
}

/** The fire so many periods after the clock's start. */
export function fireOf(jobUid: JobUid, count = 1): ExecutionId {
  return fireExecutionId(jobUid, MANUAL_CLOCK_START_US / 1_000 + count * PERIOD_MS, 0);
}

/** Lets time pass until so many milliseconds before the fire. */
export async function untilBefore(mesh: MeshRig, leftMs: number, count = 1): Promise<void> {
  const atMs = MANUAL_CLOCK_START_US / 1_000 + count * PERIOD_MS - leftMs;
  await mesh.pass(atMs - mesh.clock.wallUs() / 1_000);
}
