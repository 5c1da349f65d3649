/** A client of a simulated mesh: how it calls, and what it was told. */
import { type Execution, executionStateToJSON } from "../../gen/jobmesh/v1/execution.ts";
import { JobmeshError } from "../../services/common/error/jobmesh-error.ts";
import type { MethodShape } from "../../services/common/rpc/contract.ts";
import { traceIdOf } from "../../services/common/telemetry/traceparent.ts";
import type { Unique } from "./demand.ts";
import { Machine, type Surroundings } from "./node-parts.ts";
import type { SimProcess } from "./process.ts";
import type { SeededRandom } from "./random.ts";

/** An execution that a client was told of. */
export type Acknowledged = {
  readonly executionId: string;
  readonly atMs: number;
  readonly traceId: string;
  readonly requestKey: string | null;
};

/** What clients were told. */
export type Told = {
  readonly acknowledged: Map<string, Acknowledged>;
  /** Executions that each request_id was answered with. */
  readonly requests: Map<string, Set<string>>;
  /** Bodies that each request_id was taken with. */
  readonly bodies: Map<string, Set<string>>;
  /** Cancels that were answered with a final state, and when. */
  readonly cancelled: Map<string, { readonly atMs: number; readonly state: string }>;
  /** Final states that somebody was told. */
  readonly finals: Map<string, Set<string>>;
  /** Submissions under a unique key that were answered with an execution. */
  readonly keyed: (Unique & { readonly executionId: string; readonly isOwn: boolean; readonly askedMs: number })[];
  /** Traces of submissions that were refused at once because too much waits. */
  readonly refused: Set<string>;
  /** Uids of jobs whose creation was answered. */
  readonly jobs: Set<string>;
  /** Changes of jobs that were answered, no other change of that job being asked for meanwhile. */
  readonly changes: AnsweredChange[];
};

/** A change of a job, from its call to its answer, and the fires that it named as not stopped. */
export type AnsweredChange = {
  readonly jobId: string;
  readonly beganMs: number;
  readonly answeredMs: number;
  readonly unstopped: ReadonlySet<string>;
};

const FINAL = new Set(["SUCCEEDED", "FAILED", "TIMED_OUT", "CANCELLED", "SKIPPED", "EXPIRED", "LOST"]);
const CALL_TIMEOUT_MS = 3_000;
/** Tries of one call that may be tried again, the first included. */
export const MAX_TRIES = 6;

/** Client calls schedulers, each time another one, and keeps what they say. */
export class Client {
  readonly told: Told = {
    acknowledged: new Map(),
    requests: new Map(),
    bodies: new Map(),
    cancelled: new Map(),
    finals: new Map(),
    keyed: [],
    refused: new Set(),
    jobs: new Set(),
    changes: [],
  };
  /** Changes of each job that were ever begun, and those under way. */
  readonly #changing = new Map<string, { begun: number; open: number }>();
  readonly process: SimProcess;
  readonly #around: Surroundings;
  readonly #random: SeededRandom;
  readonly #addresses: readonly string[];
  #openCalls = 0;

  constructor(around: Surroundings, random: SeededRandom, addresses: readonly string[]) {
    this.#around = around;
    this.#random = random;
    this.#addresses = addresses;
    this.process = new Machine("client", around).process();
  }

  /** Calls under way. */
  get openCalls(): number {
    return this.#openCalls;
  }

  /** An execution was answered: the answer is a promise. */
  acknowledge(execution: Execution | undefined, requestId: string, traceId: string): string | null {
    if (execution === undefined) return null;
    const { executionId } = execution;
    const requestKey = requestId === "" ? null : requestId;
    if (requestKey !== null) {
      const known = this.told.requests.get(requestKey) ?? new Set();
      this.told.requests.set(requestKey, known.add(executionId));
    }
    if (!this.told.acknowledged.has(executionId)) {
      this.told.acknowledged.set(executionId, { executionId, atMs: this.#around.timeline.nowMs, traceId, requestKey });
    }
    this.heard(execution);
    return executionId;
  }

  /** A state was answered. */
  heard(execution: Execution): void {
    const state = stateOf(execution);
    if (!FINAL.has(state)) return;
    const known = this.told.finals.get(execution.executionId) ?? new Set();
    this.told.finals.set(execution.executionId, known.add(state));
  }

  /** A cancel was answered. */
  cancelled(execution: Execution): void {
    this.heard(execution);
    const state = stateOf(execution);
    const { executionId } = execution;
    if (FINAL.has(state)) this.told.cancelled.set(executionId, { atMs: this.#around.timeline.nowMs, state });
  }

  /** Calls for a change of a job, and keeps the answer where nobody else changed the job meanwhile. */
  async change<Req>(method: MethodShape, request: Req & { readonly jobId: string }, tries: number): Promise<void> {
    const { jobId } = request;
    const { timeline } = this.#around;
    const state = this.#changing.get(jobId) ?? { begun: 0, open: 0 };
    this.#changing.set(jobId, state);
    const isFirst = state.open === 0;
    const number = ++state.begun;
    state.open++;
    const beganMs = timeline.nowMs;
    const response = await this.call<Req, { unstoppedExecutionIds?: readonly string[] }>(method, request, tries);
    state.open--;
    if (response === null || !isFirst || state.begun !== number) return;
    const unstopped = new Set(response.unstoppedExecutionIds ?? []);
    this.told.changes.push({ jobId, beganMs, answeredMs: timeline.nowMs, unstopped });
  }

  /** Calls some scheduler, another one after each failure. Null when it failed for good, or too often. */
  async call<Req, Res>(
    method: MethodShape,
    request: Req,
    tries: number,
    traceparent: string | null = null,
  ): Promise<Res | null> {
    this.#openCalls++;
    try {
      return await this.#tryEach(method, request, tries, traceparent);
    } finally {
      this.#openCalls--;
    }
  }

  async #tryEach<Req, Res>(
    method: MethodShape,
    request: Req,
    tries: number,
    traceparent: string | null,
  ): Promise<Res | null> {
    const turn = this.#random.below(this.#addresses.length);
    for (let tried = 0; tried < tries; tried++) {
      const address = this.#addresses[(turn + tried) % this.#addresses.length] ?? "";
      try {
        const options = { timeoutMs: CALL_TIMEOUT_MS, traceparent };
        return await this.#around.rpc.call<Req, Res>(
          { process: this.process, machine: "client" },
          address,
          method,
          request,
          options,
        );
      } catch (thrown) {
        const { code, reason, retryDelayMs, message } = JobmeshError.from(thrown);
        this.#around.history.note("client", `${method.path} at ${address}: ${code} ${reason} ${message}`);
        // A try before this one may have been stored unheard.
        const isRefused = reason === "WAITING_LIMIT" && tried === 0 && traceparent !== null;
        if (isRefused) this.told.refused.add(traceIdOf(traceparent));
        if (code !== "UNAVAILABLE" && code !== "DEADLINE_EXCEEDED") return null;
        await this.process.sleep(retryDelayMs ?? 50 * 2 ** tried);
      }
    }
    return null;
  }
}

function stateOf(execution: Execution): string {
  return executionStateToJSON(execution.state).replace("EXECUTION_STATE_", "");
}
