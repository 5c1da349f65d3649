import { type Execution, ExecutionView } from "../../gen/jobmesh/v1/execution.ts";
import {
  ExecutionServiceService,
  SubmitExecutionRequest,
  type WatchExecutionsResponse,
} from "../../gen/jobmesh/v1/execution_service.ts";
import { JobServiceService } from "../../gen/jobmesh/v1/job_service.ts";
import { MeshServiceService } from "../../gen/jobmesh/v1/mesh_service.ts";
import { JobmeshError } from "../common/error/jobmesh-error.ts";
import type { Clock } from "../common/port/clock.ts";
import { RpcChannel } from "../common/rpc/rpc-channel.ts";
import { type ServiceClient, serviceClient } from "../common/rpc/service-client.ts";
import { SystemClock } from "../common/runtime/system-clock.ts";
import { channelOf, type SecurityOptions } from "../common/security/security-options.ts";
import type { Tracing } from "../common/telemetry/tracing.ts";
import { type WatchInput, watchExecutions } from "./execution-watch.ts";

/** Where the mesh is, and how calls behave. */
export type MeshClientOptions = SecurityOptions & {
  /** "host:port", or "etcd:///scheduler" once a name source is registered. Default 127.0.0.1:7070. */
  readonly target?: string;
  /** Time of a unary call that names none, milliseconds; default 10,000. */
  readonly timeoutMs?: number;
  /** Calls wait for a connection up to their timeout, where they would fail at once otherwise; default false. */
  readonly waitForReady?: boolean;
  /** Traces calls; by default the caller's traceparent is all that travels. */
  readonly tracing?: Tracing;
};

/** What a submission needs at least: its target. The rest has the contract's defaults. */
export type SubmissionInput = Partial<SubmitExecutionRequest> & Pick<SubmitExecutionRequest, "target">;

/** How long one GetExecution of a wait lasts: shorter than proxies cut idle calls. */
const WAIT_STEP_MS = 25_000;
/** Between two tries of a wait while no scheduler answers. */
const WAIT_RETRY_MS = 250;

/**
 * A typed client of the mesh: the services as the contract has them, and what
 * most callers do with them. Errors are JobmeshErrors with reason, code and
 * the fields at fault.
 */
export class MeshClient {
  readonly jobs: ServiceClient<typeof JobServiceService>;
  readonly executions: ServiceClient<typeof ExecutionServiceService>;
  readonly mesh: ServiceClient<typeof MeshServiceService>;
  readonly #channel: RpcChannel;
  readonly #clock: Clock;

  constructor(options: MeshClientOptions = {}) {
    const { tracing, target = "127.0.0.1:7070", timeoutMs, waitForReady } = options;
    this.#clock = new SystemClock();
    const security = channelOf(options);
    this.#channel = new RpcChannel(tracing === undefined ? { clock: this.#clock } : { clock: this.#clock, tracing }, {
      ...{ target, security },
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      ...(waitForReady === undefined ? {} : { waitForReady }),
    });
    this.jobs = serviceClient(JobServiceService, this.#channel);
    this.executions = serviceClient(ExecutionServiceService, this.#channel);
    this.mesh = serviceClient(MeshServiceService, this.#channel);
  }

  /** Submits one execution; it is durable when this resolves. Give a request_id to make it safe to repeat. */
  async submit(submission: SubmissionInput): Promise<Execution> {
    const { execution } = await this.executions.submitExecution(SubmitExecutionRequest.fromPartial(submission));
    if (execution === undefined) throw new JobmeshError("INTERNAL", { message: "the answer has no execution" });
    return execution;
  }

  /**
   * Waits until an execution has ended, over schedulers that come and go.
   * Rejects with the signal's reason when it aborts, and with every error that
   * waiting does not mend.
   */
  async waitUntilEnded(executionId: string, signal?: AbortSignal): Promise<Execution> {
    for (;;) {
      try {
        const { execution } = await this.executions.getExecution(
          { executionId, waitUntilEnded: true, view: ExecutionView.EXECUTION_VIEW_FULL },
          { timeoutMs: WAIT_STEP_MS, waitForReady: true, signal },
        );
        if (execution !== undefined) return execution;
      } catch (error) {
        if (signal?.aborted || !(error instanceof JobmeshError)) throw error;
        if (error.reason !== "DEADLINE" && error.code !== "UNAVAILABLE") throw error;
        if (error.code === "UNAVAILABLE") await this.#clock.sleep(WAIT_RETRY_MS, signal);
      }
    }
  }

  /**
   * State changes of what is asked for, over schedulers that come and go: every
   * final state at least once, states in between as they are seen. Of one
   * execution it is over after the final state; else it goes on until the
   * signal aborts, and rejects with its reason then. Rejects with
   * RESUME_TOKEN_EXPIRED where it was away for so long that ends are deleted.
   */
  watch(request: WatchInput = {}, signal?: AbortSignal): AsyncGenerator<WatchExecutionsResponse> {
    return watchExecutions(this, this.#clock, request, signal);
  }

  /** Resolves when a scheduler can be reached; rejects with PEER_UNAVAILABLE after the time. */
  connected(timeoutMs: number): Promise<void> {
    return this.#channel.connected(timeoutMs);
  }

  /** Closes the connections. */
  close(): void {
    this.#channel.close();
  }
}
