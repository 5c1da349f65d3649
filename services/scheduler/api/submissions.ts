import type {
  RetryExecutionRequest,
  SubmitExecutionRequest,
  SubmitExecutionsRequest,
  SubmitExecutionsResponse,
} from "../../../gen/jobmesh/v1/execution_service.ts";
import type { RunJobRequest } from "../../../gen/jobmesh/v1/job_service.ts";
import { unreachable } from "../../common/domain/assert.ts";
import type { Execution } from "../../common/domain/execution.ts";
import type { ExecutionId } from "../../common/domain/identifier.ts";
import { JobmeshError } from "../../common/error/jobmesh-error.ts";
import type { Store } from "../../common/port/store.ts";
import type { RequestClaim, SubmitOutcome } from "../../common/port/store-executions.ts";
import type { CallContext } from "../../common/rpc/contract.ts";
import { toStatus } from "../../common/rpc/status.ts";
import type { Logger } from "../../common/runtime/log.ts";
import type { Attributes, Tracing } from "../../common/telemetry/tracing.ts";
import { storeError } from "./store-errors.ts";
import type { CheckedSubmission, SubmissionReader, TraceContext } from "./submission-reader.ts";
import { type SubmissionStream, serveSubmissions } from "./submission-stream.ts";

/** Where checked submissions go to be stored, many together. */
export interface SubmissionSink {
  submit(submission: CheckedSubmission): Promise<SubmitOutcome>;
}

/** The trace that a call came with. */
type CallTrace = Pick<CallContext, "traceparent" | "tracestate">;

type StreamRequest = SubmitExecutionsRequest;
type StreamResponse = SubmitExecutionsResponse;

/** What taking executions in needs. */
export type SubmissionsDeps = {
  readonly reader: SubmissionReader;
  readonly sink: SubmissionSink;
  readonly store: Store;
  readonly tracing: Tracing;
  readonly log: Logger;
};

/** An execution that was taken in; whole where the store gave it. */
type Taken = { readonly executionId: ExecutionId; readonly execution: Execution | null };

/** Takes executions in: checks them, stores them, answers when they are durable. */
export class Submissions {
  readonly #deps: SubmissionsDeps;

  constructor(deps: SubmissionsDeps) {
    this.#deps = deps;
  }

  /** SubmitExecution: the stored execution, or the one that an earlier call of this request_id made. */
  async submit(request: SubmitExecutionRequest, parent: CallTrace | null): Promise<Execution> {
    return this.#whole(await this.#store((trace) => this.#deps.reader.submission(request, trace), parent));
  }

  /** RunJob, likewise. */
  async run(request: RunJobRequest, parent: CallTrace | null): Promise<Execution> {
    return this.#whole(await this.#run(request, parent));
  }

  /** RetryExecution, likewise: a new execution of one that has ended. */
  async retry(request: RetryExecutionRequest, parent: CallTrace | null): Promise<Execution> {
    try {
      return await this.#whole(await this.#store((trace) => this.#deps.reader.retry(request, trace), parent));
    } catch (thrown) {
      return await this.#whole(await this.#retriedBefore(request, thrown));
    }
  }

  /** A repeat is answered also when what it retried was deleted since, and with it what says of which namespace it was. */
  async #retriedBefore(request: RetryExecutionRequest, thrown: unknown): Promise<Taken> {
    const claim = this.#deps.reader.retryClaim(request, "");
    const isGone = thrown instanceof JobmeshError && thrown.reason === "EXECUTION_NOT_FOUND";
    if (!isGone || claim === null) throw thrown;
    const repeat = await this.#deps.store.executions.repeatAnywhere(claim);
    if (repeat === null) throw thrown;
    return { executionId: repeat.executionId, execution: null };
  }

  /** SubmitExecutions: each request is answered when it is durable, in any order; errors are its own. */
  openStream(stream: SubmissionStream, context: CallContext): void {
    serveSubmissions(stream, context, (request) => this.#answer(request));
  }

  /** Never rejects: an error is the answer of this one request. */
  async #answer(request: StreamRequest): Promise<StreamResponse> {
    try {
      // Each submission of a stream begins a trace of its own: one trace an execution.
      const { executionId } = await this.#take(request);
      return { sequence: request.sequence, executionId, error: undefined };
    } catch (thrown) {
      const error = JobmeshError.from(storeError(thrown));
      // No status of the call tells of it: whoever serves the call logs only those.
      if (error.code === "INTERNAL") this.#deps.log.error({ err: thrown }, "a submission of a stream failed");
      return { sequence: request.sequence, executionId: "", error: toStatus(error) };
    }
  }

  #take(request: StreamRequest): Promise<Taken> {
    switch (request.kind?.$case) {
      case "submission": {
        const { value } = request.kind;
        return this.#store((trace) => this.#deps.reader.submission(value, trace), null);
      }
      case "run":
        return this.#run(request.kind.value, null);
      case undefined:
        throw JobmeshError.invalid({ field: "kind", description: "must have a submission or a run" });
    }
  }

  /** A repeat is answered also when its job has been deleted since (rule 5). */
  async #run(request: RunJobRequest, call: CallTrace | null): Promise<Taken> {
    try {
      return await this.#store((trace) => this.#deps.reader.run(request, trace), call);
    } catch (thrown) {
      // Only a request that was checked can be hashed: a time may be none that JSON has.
      if (!(thrown instanceof JobmeshError) || thrown.reason !== "JOB_NOT_FOUND") throw thrown;
      const claim = this.#deps.reader.runClaim(request);
      if (claim === null) throw thrown;
      const repeat = await this.#deps.store.executions.repeatOf(claim);
      if (repeat === null) throw thrown;
      return answerOf(claim, repeat);
    }
  }

  async #store(read: (trace: TraceContext) => Promise<CheckedSubmission>, call: CallTrace | null): Promise<Taken> {
    const { traceparent = null, tracestate = null } = call ?? {};
    const span = this.#deps.tracing.startSpan("jobmesh.submit", { parent: traceparent, tracestate });
    try {
      const submission = await read({ traceparent: span.traceparent, tracestate: span.tracestate ?? "" });
      if (span.recording) span.set(attributesOf(submission));
      const answer = answerOf(submission.request, await this.#deps.sink.submit(submission));
      span.end();
      return answer;
    } catch (thrown) {
      span.end({ error: JobmeshError.from(storeError(thrown)).reason });
      throw thrown;
    }
  }

  async #whole(stored: Taken): Promise<Execution> {
    const execution = stored.execution ?? (await this.#deps.store.executions.get(stored.executionId));
    if (execution !== null) return execution;
    throw new JobmeshError("EXECUTION_NOT_FOUND", {
      message: "an earlier call of this request_id made an execution whose retention has ended",
      metadata: { executionId: stored.executionId },
    });
  }
}

function attributesOf({ execution }: CheckedSubmission): Attributes {
  return {
    "jobmesh.execution_id": execution.executionId,
    "jobmesh.namespace": execution.namespace,
    "jobmesh.target": execution.target.kind,
    ...(execution.jobId === null ? {} : { "jobmesh.job_id": execution.jobId }),
  };
}

function answerOf(request: RequestClaim | null, outcome: SubmitOutcome): Taken {
  switch (outcome.kind) {
    case "stored":
      return { executionId: outcome.execution.executionId, execution: outcome.execution };
    case "repeated":
      return { executionId: outcome.executionId, execution: null };
    case "existing":
      return { executionId: outcome.executionId, execution: null };
    case "key_taken":
      throw new JobmeshError("UNIQUE_KEY_TAKEN", { metadata: { executionId: outcome.executionId } });
    case "request_reused":
      throw new JobmeshError("REQUEST_ID_REUSED", {
        message: `request_id ${request?.requestId ?? ""} was used before with another request`,
      });
    case "contended":
      throw new JobmeshError("CONFLICT", { message: outcome.message });
    case "refused":
      throw JobmeshError.invalid({ field: "target", description: `the store refuses it: ${outcome.message}` });
    default:
      return unreachable(outcome);
  }
}
