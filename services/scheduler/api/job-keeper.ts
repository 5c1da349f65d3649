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
import type { ChangeOutcome, JobFilter, NewJob } from "../../common/port/store-jobs.ts";
import type { Logger } from "../../common/runtime/log.ts";
import { jobToMessage } from "../../common/wire/job.ts";
import type { Hints } from "../hints.ts";
import type { MeshClock } from "../mesh-clock.ts";
import { CredentialWarnings } from "./credential-warnings.ts";
import { FieldFaults } from "./field-faults.ts";
import type { HeldWaits, Waiting } from "./held-waits.ts";
import { type JobName, jobNotFound } from "./job-lookup.ts";
import { DEFAULT_NAMESPACE, readJob } from "./job-reader.ts";
import { checkRequestId, requestClaim } from "./request-claim.ts";
import type { PayloadChecks } from "./target-check.ts";
import { maskedJob } from "./update-mask.ts";

/** Times that a change is tried again when another one came between its read and its write. */
const MAX_CHANGE_TRIES = 5;
/** Executions cancelled in one round of DeleteJob.cancel_executions. */
const CANCEL_BATCH = 500;

/** What a JobKeeper needs. */
export type JobKeeperDeps = {
  readonly store: Store;
  readonly hints: Hints;
  readonly held: HeldWaits;
  readonly meshClock: MeshClock;
  readonly random: Random;
  readonly checkPayload: PayloadChecks;
  readonly log: Logger;
};

/** A job as it is now, and its fires that were held and could not be stopped. */
export type ChangedJob = { readonly job: Job; readonly unstopped: readonly ExecutionId[] };
type Changed = Extract<ChangeOutcome, { kind: "changed" }>;

/**
 * What a request_id makes idempotent: not whether it is only to be checked, nor fields that are output only, which are
 * neither read nor checked and may hold times that are none.
 */
function bodyOf(request: CreateJobRequest): CreateJobRequest {
  const outputs = { createTime: undefined, updateTime: undefined, nextFireTime: undefined, lastFireTime: undefined };
  const others = { pauseReason: "", revision: 0n, uid: "", health: undefined };
  const job = request.job === undefined ? undefined : { ...request.job, ...outputs, ...others };
  return { ...request, job, validateOnly: false };
}

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
    const { requestId, validateOnly } = request;
    const faults = new FieldFaults();
    checkRequestId(faults, "request_id", requestId);
    const nowUs = this.#deps.meshClock.nowUs();
    const assignedId = randomUuid(nowUs, this.#deps.random);
    const spec = await readJob(faults, request.job, assignedId, this.#deps.checkPayload);
    if (!validateOnly) this.#warnings.look(request.job?.target, spec);
    const claim = requestClaim("create", spec.namespace, requestId, () => CreateMessage.toJSON(bodyOf(request)));
    const outcome = await this.#deps.store.jobs.create(this.#newJob(spec, nowUs), claim, validateOnly);
    if (outcome.kind === "exists") {
      throw new JobmeshError("JOB_EXISTS", {
        message: `job ${spec.jobId} exists in namespace ${spec.namespace}`,
        metadata: { namespace: spec.namespace, jobId: spec.jobId },
      });
    }
    if (outcome.kind === "request_reused") {
      throw new JobmeshError("REQUEST_ID_REUSED", {
        message: `request_id ${requestId} was used before with another request`,
      });
    }
    if (!validateOnly) this.#changed(outcome.job);
    return outcome.job;
  }

  #newJob(spec: JobSpec, nowUs: number): NewJob {
    const { random } = this.#deps;
    const jobUid = randomUuid(nowUs, random) as JobUid;
    const shard = Math.floor(random.unit() * SHARD_COUNT);
    return { ...spec, jobUid, shard, nextFireUs: firstFireUs(spec, jobUid, nowUs), createUs: nowUs };
  }

  async get(name: JobName): Promise<Job> {
    const job = await this.#deps.store.jobs.get(name.namespace, name.jobId);
    if (job === null) throw jobNotFound(name);
    return job;
  }

  list(filter: JobFilter, pageSize: number, pageToken: string | null): Promise<Page<Job>> {
    return this.#deps.store.jobs.list(filter, pageSize, pageToken);
  }

  /**
   * UpdateJob: the masked fields of the stored job are replaced, or of a new one with allow_missing. ABORTED when
   * `revision` is set and another.
   */
  async update(request: UpdateJobRequest, waiting: Waiting): Promise<ChangedJob> {
    const { allowMissing, validateOnly, updateMask = [] } = request;
    const faults = new FieldFaults();
    const given = JobMessage.fromPartial(request.job ?? {});
    const namespace = faults.identifier("job.namespace", given.namespace, DEFAULT_NAMESPACE);
    const jobId = faults.identifier("job.job_id", given.jobId, null);
    const wanted = Number(given.revision);
    faults.throwIfAny();
    const { store, checkPayload } = this.#deps;
    const change = async (job: Job): Promise<ChangeOutcome> => {
      if (wanted !== 0 && wanted !== job.revision) throw revisionMismatch(job.revision);
      const merged = maskedJob(faults, jobToMessage(job), given, updateMask);
      const spec = await readJob(faults, merged, null, checkPayload);
      if (!validateOnly) this.#warnings.look(merged.target, spec);
      return store.jobs.update(spec, this.#nextFireOf(job, spec), job.revision, validateOnly);
    };
    const create = async (): Promise<ChangeOutcome> => {
      if (wanted !== 0) throw revisionMismatch(0);
      const none = JobMessage.fromPartial({ namespace, jobId });
      const merged = maskedJob(faults, none, given, updateMask);
      const spec = await readJob(faults, merged, null, checkPayload);
      if (!validateOnly) this.#warnings.look(merged.target, spec);
      const job = this.#newJob(spec, this.#deps.meshClock.nowUs());
      const outcome = await store.jobs.create(job, null, validateOnly);
      // Another call made it meanwhile: then this is an update.
      return outcome.kind === "created"
        ? { kind: "changed", job: outcome.job }
        : { kind: "revision_mismatch", revision: 1 };
    };
    const outcome = await this.#changing({ namespace, jobId }, change, allowMissing ? create : null);
    return validateOnly ? { job: outcome.job, unstopped: [] } : this.#called(outcome, waiting);
  }

  /** DeleteJob; with cancel_executions its executions that have not ended are asked to end. */
  async delete(request: DeleteJobRequest, name: JobName, waiting: Waiting): Promise<readonly ExecutionId[]> {
    const { store } = this.#deps;
    const revision = request.revision === 0n ? null : Number(request.revision);
    const outcome = await store.jobs.delete(name.namespace, name.jobId, revision);
    if (outcome.kind === "revision_mismatch") throw revisionMismatch(outcome.revision);
    if (outcome.kind === "not_found" && !request.allowMissing) throw jobNotFound(name);
    if (request.cancelExecutions) await this.#cancelExecutions(name);
    return outcome.kind === "changed" ? (await this.#called(outcome, waiting)).unstopped : [];
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

  async pause(name: JobName, reason: string, waiting: Waiting): Promise<ChangedJob> {
    const outcome = await this.#deps.store.jobs.pause(name.namespace, name.jobId, reason);
    return this.#called(changedOf(name, outcome), waiting);
  }

  /** Rule 11: waits for the fire that a change has called back. */
  async #called({ job, held }: Changed, waiting: Waiting): Promise<ChangedJob> {
    this.#changed(job);
    return { job, unstopped: held === undefined ? [] : await this.#deps.held.back([held], waiting) };
  }

  /** ResumeJob: the first fire that is not past; those of the paused time are not made up. */
  async resume(name: JobName): Promise<Job> {
    const { job: resumed } = await this.#changing(name, (job) => {
      if (!job.paused) return Promise.resolve({ kind: "changed", job });
      checkAdopted(job);
      const nextUs = isExhausted(job, job) ? null : nextFireUs(job, job, this.#deps.meshClock.nowUs());
      return this.#deps.store.jobs.resume(name.namespace, name.jobId, job.revision, nextUs);
    });
    this.#changed(resumed);
    return resumed;
  }

  /**
   * Reads the job and changes it as of that revision; again when another change came between.
   *
   * @param create makes the job when there is none; null makes that NOT_FOUND
   */
  async #changing(
    name: JobName,
    change: (job: Job) => Promise<ChangeOutcome>,
    create: (() => Promise<ChangeOutcome>) | null = null,
  ): Promise<Changed> {
    for (let tries = 1; tries <= MAX_CHANGE_TRIES; tries += 1) {
      const job = await this.#deps.store.jobs.get(name.namespace, name.jobId);
      const changing = job === null ? create?.() : change(job);
      if (changing === undefined) throw jobNotFound(name);
      const outcome = await changing;
      const isGone = outcome.kind === "not_found" && create !== null;
      if (outcome.kind !== "revision_mismatch" && !isGone) return changedOf(name, outcome);
    }
    throw new JobmeshError("CONFLICT", { message: `job ${name.jobId} changes all the time` });
  }

  /** A schedule that stays keeps its next fire, one that is due among them; a new one is asked from now on. */
  #nextFireOf(job: Job, spec: JobSpec): number | "kept" | null {
    const before = job.schedule;
    const after = spec.schedule;
    if (isDeepStrictEqual(before, after)) return "kept";
    if (isExhausted(job, spec)) return null;
    if (after?.when.kind !== "at") return nextFireUs(job, spec, this.#deps.meshClock.nowUs());
    // The same instant with other policies around it fires no second time.
    const isSame = before?.when.kind === "at" && before.when.atMs === after.when.atMs;
    return isSame && !job.paused ? "kept" : firstFireUs(spec, job.jobUid, this.#deps.meshClock.nowUs());
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

/** What was changed. Throws what kept it from being changed. */
function changedOf(name: JobName, outcome: ChangeOutcome): Changed {
  if (outcome.kind === "not_found") throw jobNotFound(name);
  if (outcome.kind === "revision_mismatch") throw revisionMismatch(outcome.revision);
  return outcome;
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
    message: revision === 0 ? "there is no such job, and so no revision of it" : `the job is at revision ${revision}`,
    metadata: { revision: String(revision) },
  });
}
