import { Code } from "../../../gen/google/rpc/code.ts";
import { type GrpcTarget, Target } from "../../../gen/jobmesh/v1/job.ts";
import { type AttemptOutcome, MAX_OUTPUT_TAIL_BYTES, MAX_RESULT_BYTES } from "../../common/domain/attempt.ts";
import type { Capability } from "../../common/domain/executor.ts";
import { FailureCode } from "../../common/domain/failure.ts";
import { literalCredentials } from "../../common/domain/http-header.ts";
import { JobmeshError } from "../../common/error/jobmesh-error.ts";
import type { Clock } from "../../common/port/clock.ts";
import { type RawChannel, type RawTls, ResponseTooLarge } from "../../common/rpc/raw-call.ts";
import { ReflectionFault } from "../../common/rpc/reflection-client.ts";
import { PayloadFault } from "../../common/wire/json-message.ts";
import type { RunningAttempt } from "../running-attempt.ts";
import { SecretFault, type SecretSource } from "../secrets.ts";
import { renderTail } from "../spawner/tail.ts";
import type { AttemptEnding, TargetRunner } from "../target-runner.ts";
import type { AddressGuard } from "./address-guard.ts";
import { type ChannelLease, type GrpcChannelLimits, GrpcChannels } from "./grpc-channels.ts";
import { grpcMetadata } from "./grpc-identity.ts";
import { askedDelayMs, failed, isTooLate, noSecret, stoppedOutcome } from "./outcome.ts";
import { ReflectedTypes } from "./reflected-types.ts";
import { tlsOf } from "./tls-secrets.ts";

/**
 * A gRPC target is one unary call by bytes. The server's status is the outcome,
 * as `grpc:CODE`; what the executor itself is at fault for has a reason of its
 * own. The attempt's timeout is the call's deadline, which the server is told.
 * One that is told to end is cancelled, and ends at once as a handler would
 * (rule 22): the server may have done the work all the same, which is what the
 * idempotency key is for. An answer that came although it was told to end is
 * what is reported, as for handlers.
 */

/** A status DEADLINE_EXCEEDED that comes this close to the end is the attempt's own deadline. */
const DEADLINE_SLACK_MS = 50;

/** What a GrpcRunner needs. */
export type GrpcRunnerDeps = { readonly clock: Clock; readonly guard: AddressGuard; readonly secrets: SecretSource };

/** GrpcRunner runs attempts at gRPC calls. */
export class GrpcRunner implements TargetRunner {
  readonly capability: Capability = { kind: "grpc" };
  readonly keepsTimeout = false;
  readonly #clock: Clock;
  readonly #guard: AddressGuard;
  readonly #channels: GrpcChannels;
  readonly #types: ReflectedTypes;
  readonly #secrets: SecretSource;

  constructor({ clock, guard, secrets }: GrpcRunnerDeps, limits?: GrpcChannelLimits) {
    this.#clock = clock;
    this.#guard = guard;
    this.#secrets = secrets;
    this.#channels = new GrpcChannels(clock, limits);
    this.#types = new ReflectedTypes(clock);
  }

  async run(attempt: RunningAttempt): Promise<AttemptEnding> {
    const { kind } = Target.decode(attempt.target);
    if (kind?.$case !== "grpc") return this.#ending(attempt, noCall());
    const target = kind.value;
    let tls: RawTls | null;
    try {
      tls = target.tls === undefined ? null : await tlsOf(target.tls, this.#secrets);
    } catch (fault) {
      if (!(fault instanceof SecretFault)) throw fault;
      return this.#ending(attempt, noSecret(fault.message));
    }
    if (attempt.cause !== null) return this.#ending(attempt, stoppedOutcome(attempt));
    const lease = this.#channels.lease({ address: target.address, tls, guard: this.#guard });
    if (lease === null) return this.#crowded(attempt);
    const notes = noteCredentials(attempt, target.metadata);
    try {
      return withNotes(notes, await this.#call(attempt, target, lease));
    } catch (thrown) {
      return withNotes(notes, this.#ending(attempt, this.#outcomeOf(attempt, thrown, lease.channel)));
    } finally {
      lease.release();
    }
  }

  close(): void {
    this.#channels.close();
  }

  async #call(attempt: RunningAttempt, target: GrpcTarget, lease: ChannelLease): Promise<AttemptEnding> {
    const request = await this.#request(attempt, target, lease);
    const result = await lease.channel.call(target.method, request, {
      timeoutMs: this.#leftMs(attempt),
      signal: attempt.signal,
      metadata: grpcMetadata(attempt, target.metadata),
    });
    return this.#answered(attempt, result);
  }

  /** The request in bytes; JSON that no stored descriptor encoded is encoded by the server's reflection. */
  async #request(attempt: RunningAttempt, target: GrpcTarget, lease: ChannelLease): Promise<Uint8Array> {
    const { payload, method } = target;
    if (payload?.$case !== "requestJson") return payload?.value ?? Buffer.alloc(0);
    const [service = ""] = method.split("/");
    const types = await withSignal(this.#types.of(lease.key, lease.channel, service), attempt.signal);
    if (types === null || !types.has(method)) {
      throw new JobmeshError("NOT_IMPLEMENTED", { message: `the server does not have ${method}` });
    }
    if (!types.isUnary(method)) throw new PayloadFault(`${method} is a stream; only unary methods are called`);
    return types.encodeRequest(method, payload.value);
  }

  #answered(attempt: RunningAttempt, result: Uint8Array): AttemptEnding {
    if (isTooLate(attempt)) return this.#ending(attempt, stoppedOutcome(attempt));
    if (result.length <= MAX_RESULT_BYTES) return this.#ending(attempt, { kind: "succeeded", result });
    return this.#ending(attempt, tooLarge(`the answer has ${result.length} bytes`));
  }

  #outcomeOf(attempt: RunningAttempt, thrown: unknown, channel: RawChannel): AttemptOutcome {
    if (attempt.cause !== null) return stoppedOutcome(attempt);
    const forbidden = channel.forbidden(thrown);
    if (forbidden !== null) return failed(FailureCode.INVALID_ARGUMENT, forbidden.message, "TARGET_FORBIDDEN", true);
    if (thrown instanceof ResponseTooLarge) return tooLarge(thrown.message);
    if (thrown instanceof PayloadFault) {
      return failed(FailureCode.INVALID_ARGUMENT, `request_json: ${thrown.message}`, "REQUEST_INVALID", true);
    }
    if (thrown instanceof ReflectionFault) {
      const message = `request_json cannot be encoded: ${thrown.message}; store a descriptor, or give request in bytes`;
      return failed(FailureCode.FAILED_PRECONDITION, message, "REFLECTION_FAILED", true);
    }
    // What is none of ours is a fault of this code: the executor's log has it.
    if (!(thrown instanceof JobmeshError)) throw thrown;
    if (thrown.code === "DEADLINE_EXCEEDED" && this.#leftMs(attempt) <= DEADLINE_SLACK_MS) {
      attempt.stop({ kind: "timeout" }, Number.POSITIVE_INFINITY);
      return stoppedOutcome(attempt);
    }
    const outcome = failed(Code[thrown.code], thrown.message, `grpc:${thrown.code}`, false);
    if (thrown.retryDelayMs === null) return outcome;
    return { ...outcome, retryDelayMs: askedDelayMs(Math.ceil(thrown.retryDelayMs)) };
  }

  /** Milliseconds until the attempt's timeout; not below 0. */
  #leftMs(attempt: RunningAttempt): number {
    return Math.max(attempt.startMs + attempt.order.timeoutMs - this.#clock.monotonicMs(), 0);
  }

  /** Nothing was sent: it comes back as what does not fit does (rule 20). */
  #crowded(attempt: RunningAttempt): AttemptEnding {
    const message = "calls to as many other addresses as this executor connects to are running";
    return { ...this.#ending(attempt, { kind: "returned", reason: "NOT_STARTED", message }), startUs: null };
  }

  #ending(attempt: RunningAttempt, outcome: AttemptOutcome): AttemptEnding {
    const endUs = Math.max(this.#clock.wallUs(), attempt.startUs);
    const errorOutput = outcome.kind === "failed" ? outcome.failure.message : "";
    return { outcome, startUs: attempt.startUs, endUs, exitCode: null, output: "", errorOutput };
  }
}

/** Says in the attempt's log which metadata is a credential, never its value. Answers the lines. */
function noteCredentials(attempt: RunningAttempt, filled: GrpcTarget["metadata"]): string {
  const { bytes } = attempt.order.target;
  // As it was given: secrets are filled in by now.
  const stored = attempt.target === bytes ? null : Target.decode(bytes).kind;
  const metadata = stored?.$case === "grpc" ? stored.value.metadata : filled;
  const lines = literalCredentials(metadata).map(
    (key) => `jobmesh: the metadata ${key} is given in so many words: whoever reads the job reads its value\n`,
  );
  for (const line of lines) {
    const data = Buffer.from(line);
    void attempt.write({ stream: "STDERR", data, droppedBytes: 0, level: "UNSPECIFIED", fieldsJson: "" });
  }
  return lines.join("");
}

function withNotes(notes: string, ending: AttemptEnding): AttemptEnding {
  if (notes === "") return ending;
  return { ...ending, errorOutput: renderTail(Buffer.from(notes + ending.errorOutput), MAX_OUTPUT_TAIL_BYTES) };
}

/** What another promise gives, unless the signal aborts first. */
function withSignal<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(new JobmeshError("CANCELLED"));
    if (signal.aborted) return abort();
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

function tooLarge(message: string): AttemptOutcome {
  return failed(FailureCode.INTERNAL, `${message}; at most ${MAX_RESULT_BYTES} are kept`, "RESULT_TOO_LARGE", true);
}

/** The route said gRPC and the bytes do not: whoever wrote the order is at fault, and no other try mends it. */
function noCall(): AttemptOutcome {
  return failed(FailureCode.INVALID_ARGUMENT, "the target is no gRPC call", "TARGET_INVALID", true);
}
