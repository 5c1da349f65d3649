import {
  type RetryExecutionRequest,
  RetryExecutionRequest as RetryMessage,
  type SubmitExecutionRequest,
  SubmitExecutionRequest as SubmitMessage,
} from "../../../gen/jobmesh/v1/execution_service.ts";
import { RunJobRequest as RunJobMessage, type RunJobRequest } from "../../../gen/jobmesh/v1/job_service.ts";
import { isFinal, type NewExecution } from "../../common/domain/execution.ts";
import { jobGateKeys } from "../../common/domain/gate.ts";
import type { Job } from "../../common/domain/job.ts";
import { mergedParameters, type Parameters } from "../../common/domain/parameter.ts";
import { isNoCommand, type Target } from "../../common/domain/target.ts";
import { mayHoldTemplate } from "../../common/domain/template.ts";
import type { UniqueKey } from "../../common/domain/unique-key.ts";
import { JobmeshError } from "../../common/error/jobmesh-error.ts";
import type { Random } from "../../common/port/random.ts";
import type { Store } from "../../common/port/store.ts";
import type { RequestClaim } from "../../common/port/store-executions.ts";
import type { Logger } from "../../common/runtime/log.ts";
import { targetToMessage } from "../../common/wire/target.ts";
import type { MeshClock } from "../mesh-clock.ts";
import { CredentialWarnings } from "./credential-warnings.ts";
import { existing } from "./execution-lookup.ts";
import { FieldFaults } from "./field-faults.ts";
import { jobNotFound } from "./job-lookup.ts";
import { DEFAULT_NAMESPACE } from "./job-reader.ts";
import { type ExecutionDraft, newExecution } from "./new-execution.ts";
import { checkParameters, checkSize } from "./parameter-check.ts";
import { checkPolicy } from "./policy-check.ts";
import { checkRequestId, requestClaim } from "./request-claim.ts";
import { readOverlap } from "./schedule-check.ts";
import { checkTarget, type PayloadChecks } from "./target-check.ts";
import { UNKNOWN_SCOPE } from "./template-check.ts";
import { readUnique } from "./unique-check.ts";

/** Trace context that an execution continues. */
export type TraceContext = { readonly traceparent: string; readonly tracestate: string };

/** A checked submission, ready to be stored. */
export type CheckedSubmission = {
  readonly execution: NewExecution;
  readonly request: RequestClaim | null;
  readonly unique?: UniqueKey | null;
};

/** What a SubmissionReader needs. */
export type SubmissionReaderDeps = {
  readonly store: Store;
  readonly meshClock: MeshClock;
  readonly random: Random;
  readonly checkPayload: PayloadChecks;
  readonly log: Logger;
};

/** Reads submissions and RunJob calls, unary and of the stream alike. */
export class SubmissionReader {
  readonly #deps: SubmissionReaderDeps;
  readonly #warnings: CredentialWarnings;

  constructor(deps: SubmissionReaderDeps) {
    this.#deps = deps;
    this.#warnings = new CredentialWarnings(deps.log);
  }

  /** SubmitExecution. Throws INVALID_ARGUMENT with every field at fault. */
  async submission(message: SubmitExecutionRequest, trace: TraceContext): Promise<CheckedSubmission> {
    const faults = new FieldFaults();
    faults.unsupported("policy.max_concurrency", (message.policy?.maxConcurrency ?? 0) !== 0);
    const namespace = faults.identifier("namespace", message.namespace, DEFAULT_NAMESPACE);
    const unique = readUnique(faults, namespace, message);
    checkRequestId(faults, "request_id", message.requestId);
    const name = faults.text("name", message.name, 255);
    const labels = faults.labels("labels", message.labels);
    const scheduledUs = faults.timestampUs("scheduled_time", message.scheduledTime);
    const policy = checkPolicy(faults, "policy", message.policy);
    const parameters = checkParameters(faults, "parameters", message.parameters);
    const scope = { labels, parameters, open: "nothing" } as const;
    const target = await checkTarget(faults, "target", message.target, this.#deps.checkPayload(namespace), scope);
    faults.throwIfAny();
    if (target === null) throw new TypeError("unreachable: a target without a fault is there");
    this.#warnings.look(message.target, { namespace, jobId: "" });
    const work = { namespace, job: null, name, labels, parameters, scheduledUs, policy, target } as const;
    return {
      execution: this.#make({ ...work, ...trace, cause: "SUBMIT", gateKeys: [], overlap: "ALLOW" }),
      unique,
      request: requestClaim("submit", namespace, message.requestId, () => SubmitMessage.toJSON(message)),
    };
  }

  /** RunJob. Throws NOT_FOUND when there is no such job. */
  async run(message: RunJobRequest, trace: TraceContext): Promise<CheckedSubmission> {
    const faults = new FieldFaults();
    const namespace = faults.identifier("namespace", message.namespace, DEFAULT_NAMESPACE);
    const unique = readUnique(faults, namespace, message);
    const jobId = faults.identifier("job_id", message.jobId, null);
    checkRequestId(faults, "request_id", message.requestId);
    const scheduledUs = faults.timestampUs("scheduled_time", message.scheduledTime);
    const overlap = readOverlap(faults, "overlap_policy", message.overlapPolicy) ?? "ALLOW";
    const given = checkParameters(faults, "parameters", message.parameters);
    const replaced =
      message.target === undefined
        ? null
        : await checkTarget(faults, "target", message.target, this.#deps.checkPayload(namespace), UNKNOWN_SCOPE);
    faults.throwIfAny();
    const job = await this.#job(namespace, jobId);
    const target = replaced ?? job.target;
    const parameters = await this.#parametersOf(job, given, target);
    this.#warnings.look(message.target, { namespace, jobId });
    return {
      execution: this.#make({
        namespace,
        job,
        name: job.name,
        labels: job.labels,
        parameters,
        scheduledUs,
        policy: job.policy,
        target,
        cause: "RUN_JOB",
        gateKeys: jobGateKeys(job, overlap),
        overlap,
        ...trace,
      }),
      unique,
      request: this.runClaim(message),
    };
  }

  /**
   * RetryExecution: the same once more, now. Throws NOT_FOUND, EXECUTION_NOT_ENDED for one that goes on, and
   * TARGET_UNKNOWN for adopted history whose job was gone.
   */
  async retry(message: RetryExecutionRequest, trace: TraceContext): Promise<CheckedSubmission> {
    const faults = new FieldFaults();
    const executionId = faults.executionId("execution_id", message.executionId);
    checkRequestId(faults, "request_id", message.requestId);
    faults.throwIfAny();
    const old = await existing(this.#deps.store, executionId);
    if (!isFinal(old.state)) {
      throw new JobmeshError("EXECUTION_NOT_ENDED", { metadata: { executionId, state: old.state } });
    }
    if (isNoCommand(old.target)) throw new JobmeshError("TARGET_UNKNOWN", { metadata: { executionId } });
    const { namespace, jobId, jobUid, jobRevision: revision, name, labels, policy, target } = old;
    const parameters = old.parameters ?? null;
    // By the limits that its job has now; those it had then, where the job is gone.
    const now = jobUid === null ? null : await this.#deps.store.jobs.getByUid(jobUid);
    const gateKeys = now === null ? old.gateKeys : jobGateKeys(now, "ALLOW");
    const job = jobId === null || jobUid === null ? null : { jobId, jobUid, revision };
    const work = { namespace, job, name, labels, parameters, policy, target, gateKeys, retryOf: executionId };
    const draft = { ...work, scheduledUs: null, overlap: "ALLOW", cause: "RETRY_EXECUTION", ...trace } as const;
    return {
      execution: this.#make(draft),
      request: this.retryClaim(message, namespace),
    };
  }

  /** What makes a RetryExecution call idempotent; null when it has no request_id. */
  retryClaim(message: RetryExecutionRequest, namespace: string): RequestClaim | null {
    return requestClaim("retry", namespace, message.requestId, () => RetryMessage.toJSON(message));
  }

  /** What makes a RunJob call idempotent; null when it has no request_id. */
  runClaim(message: RunJobRequest): RequestClaim | null {
    const namespace = message.namespace === "" ? DEFAULT_NAMESPACE : message.namespace;
    return requestClaim("run", namespace, message.requestId, () => RunJobMessage.toJSON(message));
  }

  /** The job's parameters with those of a call; a target with templates is checked with them, as it will run. */
  async #parametersOf(job: Job, given: Parameters, target: Target): Promise<Parameters> {
    const parameters = given === null ? (job.parameters ?? null) : mergedParameters(job.parameters, given);
    const faults = new FieldFaults();
    checkSize(faults, "parameters", parameters);
    if (mayHoldTemplate(target.bytes)) {
      const scope = { labels: job.labels, parameters, open: "nothing" } as const;
      await checkTarget(faults, "target", targetToMessage(target), this.#deps.checkPayload(job.namespace), scope);
    }
    faults.throwIfAny();
    return parameters;
  }

  async #job(namespace: string, jobId: string): Promise<Job> {
    const job = await this.#deps.store.jobs.get(namespace, jobId);
    if (job === null) throw jobNotFound({ namespace, jobId });
    return job;
  }

  #make(draft: ExecutionDraft): NewExecution {
    return newExecution(draft, this.#deps.meshClock, this.#deps.random);
  }
}
