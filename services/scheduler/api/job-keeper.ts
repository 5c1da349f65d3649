import { isDeepStrictEqual } from "node:util";
import { Job as JobMessage } from "../../../gen/jobmesh/v1/job.ts";
import {
  type CreateJobRequest,
  CreateJobRequest as CreateMessage,
  type DeleteJobRequest,
  type UpdateJobRequest,
} from "../../../gen/jobmesh/v1/job_service.ts";
import { randomExecutionId } from "../../common/domain/execution-id.ts";
import type { ExecutionId, JobUid } from "../../common/domain/identifier.ts";
import { type Job, type JobSpec, SHARD_COUNT } from "../../common/domain/job.ts";
import { checkSchedule } from "../../common/domain/schedule/check-schedule.ts";
import { compileSchedule } from "../../common/domain/schedule/compiled-schedule.ts";
import { JobmeshError } from "../../common/error/jobmesh-error.ts";
import type { Random } from "../../common/port/random.ts";
import type { Page, Store } from "../../common/port/store.ts";
import type { ChangeOutcome, JobFilter } from "../../common/port/store-jobs.ts";
import type { Logger } from "../../common/runtime/log.ts";
import { jobToMessage } from "../../common/wire/job.ts";
import type { Hints } from "../hints.ts";
import type { MeshClock } from "../mesh-clock.ts";
import { CredentialWarnings } from "./credential-warnings.ts";
import { FieldFaults } from "./field-faults.ts";
import { type JobName, jobNotFound } from "./job-lookup.ts";
import { DEFAULT_NAMESPACE, readJob } from "./job-reader.ts";
import { checkRequestId, requestClaim } from "./request-claim.ts";
import type { PayloadCheck } from "./target-check.ts";
import { maskedJob } from "./update-mask.ts";

/** Times that a change is tried again when another one came between its read and its write. */
const MAX_CHANGE_TRIES = 5;
/** Executions cancelled in one round of DeleteJob.cancel_executions. */
const CANCEL_BATCH = 500;

/** What a JobKeeper needs. */
export type JobKeeperDeps = {
  readonly store: Store;
  readonly hints: Hints;
  readonly meshClock: MeshClock;
  readonly random: Random;
  readonly checkPayload: PayloadCheck;
  readonly log: Logger;
};

/** Keeps jobs: computes their fires, stores them, tells the timers. */
export class JobKeeper {
  readonly #deps: JobKeeperDeps;
  readonly #warnings: CredentialWarnings;

  constructor(deps: JobKeeperDeps) {
    this.#deps = deps;
    this.#warnings = new CredentialWarnings(deps.log);
  }

  /** CreateJob: ALREADY_EXISTS when the identifier is taken, unless the request_id made it. */
  async create(request: CreateJobRequest): Promise<Job> {
    const faults = new FieldFaults();
    faults.unsupported("validate_only", request.validateOnly);
    checkRequestId(faults, "request_id", request.requestId);
    const nowUs = this.#deps.meshClock.nowUs();
    const assignedId = randomUuid(nowUs, this.#deps.random);
    const spec = await readJob(faults, request.job, assignedId, this.#deps.checkPayload);
    this.#warnings.look(request.job?.target, spec);
    const jobUid = randomUuid(nowUs, this.#deps.random) as JobUid;
    const outcome = await this.#deps.store.jobs.create(
      {
        ...spec,
        jobUid,
        shard: Math.floor(this.#deps.random.unit() * SHARD_COUNT),
        nextFireUs: firstFireUs(spec, jobUid, nowUs),
        createUs: nowUs,
      },
      requestClaim("create", spec.namespace, request.requestId, () => CreateMessage.toJSON(request)),
    );
    if (outcome.kind === "exists") {
      throw new JobmeshError("JOB_EXISTS", {
        message: `job ${spec.jobId} exists in namespace ${spec.namespace}`,
        metadata: { namespace: spec.namespace, jobId: spec.jobId },
      });
    }
    if (outcome.kind === "request_reused") {
      throw new JobmeshError("REQUEST_ID_REUSED", {
        message: `request_id ${request.requestId} was used before with another request`,
      });
    }
    this.#changed(outcome.job);
    return outcome.job;
  }

  async get(name: JobName): Promise<Job> {
    const job = await this.#deps.store.jobs.get(name.namespace, name.jobId);
    if (job === null) throw jobNotFound(name);
    return job;
  }

  list(filter: JobFilter, pageSize: number, pageToken: string | null): Promise<Page<Job>> {
    return this.#deps.store.jobs.list(filter, pageSize, pageToken);
  }

  /** UpdateJob: the masked fields of the stored job are replaced. ABORTED when `revision` is set and another. */
  update(request: UpdateJobRequest): Promise<Job> {
    const faults = new FieldFaults();
    faults.unsupported("allow_missing", request.allowMissing);
    faults.unsupported("validate_only", request.validateOnly);
    const given = JobMessage.fromPartial(request.job ?? {});
    const namespace = faults.identifier("job.namespace", given.namespace, DEFAULT_NAMESPACE);
    const jobId = faults.identifier("job.job_id", given.jobId, null);
    const wanted = Number(given.revision);
    faults.throwIfAny();
    return this.#changing({ namespace, jobId }, async (job) => {
      if (wanted !== 0 && wanted !== job.revision) throw revisionMismatch(job.revision);
      const merged = maskedJob(faults, jobToMessage(job), given, request.updateMask ?? []);
      const spec = await readJob(faults, merged, null, this.#deps.checkPayload);
      this.#warnings.look(merged.target, spec);
      return this.#deps.store.jobs.update(spec, this.#nextFireOf(job, spec), job.revision);
    });
  }

  /** DeleteJob; with cancel_executions its executions that have not ended are asked to end. */
  async delete(request: DeleteJobRequest, name: JobName): Promise<void> {
    const { store } = this.#deps;
    const revision = request.revision === 0n ? null : Number(request.revision);
    const outcome = await store.jobs.delete(name.namespace, name.jobId, revision);
    if (outcome.kind === "revision_mismatch") throw revisionMismatch(outcome.revision);
    if (outcome.kind === "not_found" && !request.allowMissing) throw jobNotFound(name);
    if (outcome.kind === "changed") this.#changed(outcome.job);
    if (request.cancelExecutions) await this.#cancelExecutions(name);
  }

  /** Asks all to end, CANCEL_BATCH in a round. Those that run stay listed until their executors said that they ended. */
  async #cancelExecutions(name: JobName): Promise<void> {
    const { store, hints } = this.#deps;
    const running = new Set<ExecutionId>();
    for (;;) {
      const live = await store.executions.liveOfJob(name.namespace, name.jobId, running.size + CANCEL_BATCH);
      const fresh = live.filter((executionId) => !running.has(executionId));
      if (fresh.length === 0) return;
      for (const executionId of fresh) {
        const stop = await store.executions.requestStop(executionId, "CANCEL", "the job was deleted");
        if (stop.kind === "ended") hints.tell({ kind: "ended", executionId });
        if (stop.kind !== "stopping") continue;
        running.add(executionId);
        hints.tell({ kind: "stop", executionId });
      }
    }
  }

  async pause(name: JobName, reason: string): Promise<Job> {
    const outcome = await this.#deps.store.jobs.pause(name.namespace, name.jobId, reason);
    return this.#done(name, outcome);
  }

  /** ResumeJob: the first fire that is not past; those of the paused time are not made up. */
  resume(name: JobName): Promise<Job> {
    return this.#changing(name, (job) => {
      if (!job.paused) return Promise.resolve({ kind: "changed", job });
      checkAdopted(job);
      const nextUs = isExhausted(job, job) ? null : nextFireUs(job, job, this.#deps.meshClock.nowUs());
      return this.#deps.store.jobs.resume(name.namespace, name.jobId, job.revision, nextUs);
    });
  }

  /** Reads the job and changes it as of that revision; again when another change came between. */
  async #changing(name: JobName, change: (job: Job) => Promise<ChangeOutcome>): Promise<Job> {
    for (let tries = 1; tries <= MAX_CHANGE_TRIES; tries += 1) {
      const outcome = await change(await this.get(name));
      if (outcome.kind !== "revision_mismatch") return this.#done(name, outcome);
    }
    throw new JobmeshError("CONFLICT", { message: `job ${name.jobId} changes all the time` });
  }

  #done(name: JobName, outcome: ChangeOutcome): Job {
    if (outcome.kind === "not_found") throw jobNotFound(name);
    if (outcome.kind === "revision_mismatch") throw revisionMismatch(outcome.revision);
    this.#changed(outcome.job);
    return outcome.job;
  }

  /** A schedule that stays keeps its next fire, one that is due among them; a new one is asked from now on. */
  #nextFireOf(job: Job, spec: JobSpec): number | null {
    const before = job.schedule;
    const after = spec.schedule;
    if (isDeepStrictEqual(before, after)) return job.nextFireUs;
    if (isExhausted(job, spec)) return null;
    if (after?.when.kind !== "at") return nextFireUs(job, spec, this.#deps.meshClock.nowUs());
    // The same instant with other policies around it fires no second time.
    const isSame = before?.when.kind === "at" && before.when.atMs === after.when.atMs;
    return isSame && !job.paused ? job.nextFireUs : firstFireUs(spec, job.jobUid, this.#deps.meshClock.nowUs());
  }

  #changed(job: Job): void {
    this.#deps.hints.tell({ kind: "changed", jobUid: job.jobUid });
  }
}

/** An expression that cannot be read is stored only by an adoption, which paused its job: it has to be written anew first. */
function checkAdopted({ schedule, jobUid }: Job): void {
  const [fault] = schedule === null ? [] : checkSchedule(schedule, "job.schedule", jobUid);
  if (fault !== undefined) throw JobmeshError.invalid({ field: fault.path, description: fault.reason });
}

/** A UUIDv7 of now. */
function randomUuid(nowUs: number, random: Random): string {
  return randomExecutionId(Math.floor(nowUs / 1000), random.bytes(10));
}

/**
 * First fire of a new job. An `at` that is past is kept: the timer then treats
 * it as any missed fire, so that it runs late or is recorded with its reason.
 */
function firstFireUs(spec: JobSpec, jobUid: JobUid, nowUs: number): number | null {
  if (spec.schedule?.when.kind === "at") return spec.schedule.when.atMs * 1000;
  return nextFireUs({ jobUid, createUs: nowUs }, spec, nowUs);
}

function nextFireUs(job: Pick<Job, "jobUid" | "createUs">, spec: Pick<JobSpec, "schedule">, nowUs: number) {
  if (spec.schedule === null) return null;
  const compiled = compileSchedule(spec.schedule, Math.floor(job.createUs / 1000), job.jobUid);
  const nextMs = compiled.next(Math.floor(nowUs / 1000));
  return nextMs === null ? null : nextMs * 1000;
}

/** True when the schedule has made as many executions as it may. */
function isExhausted({ fireCount }: Job, { schedule }: Pick<JobSpec, "schedule">): boolean {
  return schedule !== null && schedule.maxFires > 0 && fireCount >= schedule.maxFires;
}

function revisionMismatch(revision: number): JobmeshError {
  return new JobmeshError("REVISION_MISMATCH", {
    message: `the job is at revision ${revision}`,
    metadata: { revision: String(revision) },
  });
}
