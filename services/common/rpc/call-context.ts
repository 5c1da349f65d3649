import type { Metadata } from "@grpc/grpc-js";
import { JobmeshError } from "../error/jobmesh-error.ts";
import type { Clock } from "../port/clock.ts";
import type { CallContext } from "./contract.ts";

/** The part of every server call of grpc-js that a context reads. */
export interface ServerCall {
  readonly metadata: Metadata;
  getPeer(): string;
  getDeadline(): Date | number;
  on(event: "cancelled", listener: () => void): unknown;
}

/** CallContext of a call that this server answers. Its signal is made only when somebody asks. */
export class ServerCallContext implements CallContext {
  readonly method: string;
  readonly stopping: AbortSignal;
  readonly deadlineMs: number | null;
  /** Of the caller, or of this server's span once there is one. */
  traceparent: string | null;
  readonly #call: ServerCall;
  readonly #clock: Clock;
  #controller: AbortController | null = null;
  #abortReason: JobmeshError | null = null;

  constructor(call: ServerCall, method: string, stopping: AbortSignal, clock: Clock) {
    this.method = method;
    this.stopping = stopping;
    this.#call = call;
    this.#clock = clock;
    this.traceparent = this.metadata("traceparent");
    const deadline = Number(call.getDeadline());
    this.deadlineMs = Number.isFinite(deadline) ? deadline : null;
  }

  get peer(): string {
    return this.#call.getPeer();
  }

  get tracestate(): string | null {
    return this.metadata("tracestate");
  }

  get signal(): AbortSignal {
    if (this.#controller === null) {
      this.#controller = new AbortController();
      if (this.#abortReason !== null) this.#controller.abort(this.#abortReason);
    }
    return this.#controller.signal;
  }

  metadata(key: string): string | null {
    const value = this.#call.metadata.get(key)[0];
    return typeof value === "string" ? value : null;
  }

  /** The call is over or has to end; by default because the caller left or its deadline passed. */
  abort(reason: JobmeshError = this.#leftReason()): JobmeshError {
    this.#abortReason ??= reason;
    this.#controller?.abort(this.#abortReason);
    return this.#abortReason;
  }

  #leftReason(): JobmeshError {
    const late = this.deadlineMs !== null && this.#clock.wallUs() / 1000 >= this.deadlineMs - 1;
    return new JobmeshError(late ? "DEADLINE" : "CANCELLED");
  }
}
