import { BinaryReader } from "@bufbuild/protobuf/wire";
import { HandlerTarget } from "../../../gen/jobmesh/v1/job.ts";
import { type AttemptOutcome, MAX_OUTPUT_TAIL_BYTES, MAX_RESULT_BYTES } from "../../common/domain/attempt.ts";
import type { Capability } from "../../common/domain/executor.ts";
import { FailureCode } from "../../common/domain/failure.ts";
import type { Clock } from "../../common/port/clock.ts";
import type { RunningAttempt } from "../running-attempt.ts";
import { renderTail } from "../spawner/tail.ts";
import type { AttemptEnding, TargetRunner } from "../target-runner.ts";
import { AttemptContext, type HandlerContext } from "./handler-context.ts";
import { HandlerError } from "./handler-error.ts";
import { failed, isTooLate, stoppedOutcome } from "./outcome.ts";

/**
 * Rule 22, for handlers: one is told to end by its signal only, and its result
 * is sent when it has settled, not before. One that answers although it was
 * told to end has done its work, which is what is reported, but past its timeout
 * it is TIMED_OUT whatever it answers.
 */

/** HandlerDefinition is a typed handler, reduced to bytes at both ends. */
export type HandlerDefinition = {
  /** "package.Service/Method". */
  readonly method: string;
  /** Of the executor's slots, at most this many; 0 means all. */
  readonly slots: number;
  /** SHA-256 of its descriptor set in hex; empty when none was given. */
  readonly descriptorHash: string;
  /** Reads the request. Throws when the bytes are none. */
  decode(bytes: Uint8Array): unknown;
  /** Encodes a request that was given as JSON; null when no descriptor was given. */
  readonly encodeJson: ((json: unknown) => Uint8Array) | null;
  encode(response: unknown): Uint8Array;
  run(request: unknown, context: HandlerContext): unknown;
};

/** Field of Target.handler, and the tag that begins its bytes. */
const HANDLER_TAG = (2 << 3) | 2;

/** HandlerRunner runs attempts of one handler. */
export class HandlerRunner implements TargetRunner {
  readonly capability: Capability;
  readonly keepsTimeout = false;
  readonly #definition: HandlerDefinition;
  readonly #clock: Clock;

  constructor(clock: Clock, definition: HandlerDefinition) {
    this.#clock = clock;
    this.#definition = definition;
    const { method, descriptorHash, slots } = definition;
    this.capability = { kind: "handler", method, descriptorHash, slots };
  }

  run(attempt: RunningAttempt): AttemptEnding | Promise<AttemptEnding> {
    let request: unknown;
    try {
      request = this.#request(attempt.target);
    } catch (error) {
      return this.#ending(attempt, badRequest(error), "");
    }
    try {
      const answer = this.#definition.run(request, new AttemptContext(attempt));
      if (!isThenable(answer)) return this.#answered(attempt, answer);
      return Promise.resolve(answer).then(
        (value) => this.#answered(attempt, value),
        (thrown: unknown) => this.#thrown(attempt, thrown),
      );
    } catch (thrown) {
      return this.#thrown(attempt, thrown);
    }
  }

  #request(target: Uint8Array): unknown {
    const { payload } = handlerOf(target);
    if (payload?.$case !== "requestJson") return this.#definition.decode(payload?.value ?? Buffer.alloc(0));
    const { encodeJson } = this.#definition;
    if (encodeJson === null) throw new TypeError("request_json: this handler was registered without descriptors");
    return this.#definition.decode(encodeJson(payload.value));
  }

  #answered(attempt: RunningAttempt, answer: unknown): AttemptEnding {
    if (isTooLate(attempt)) return this.#stopped(attempt, "");
    let result: Uint8Array;
    try {
      result = this.#definition.encode(answer);
    } catch (error) {
      const message = `the answer is no message of the method: ${textOf(error)}`;
      return this.#ending(attempt, failed(FailureCode.INTERNAL, message, "RESULT_INVALID", true), "");
    }
    if (result.length <= MAX_RESULT_BYTES) return this.#ending(attempt, { kind: "succeeded", result }, "");
    const message = `the answer has ${result.length} bytes; at most ${MAX_RESULT_BYTES} are kept`;
    return this.#ending(attempt, failed(FailureCode.INTERNAL, message, "RESULT_TOO_LARGE", true), "");
  }

  #thrown(attempt: RunningAttempt, thrown: unknown): AttemptEnding {
    const stack = stackOf(thrown);
    if (attempt.cause !== null) return this.#stopped(attempt, stack);
    if (thrown instanceof HandlerError) {
      const { nonRetryable, retryDelayMs } = thrown;
      const outcome = failed(FailureCode.UNKNOWN, thrown.message, thrown.reason, nonRetryable, retryDelayMs);
      return this.#ending(attempt, outcome, stack);
    }
    const reason = thrown instanceof Error ? thrown.name : "Error";
    return this.#ending(attempt, failed(FailureCode.UNKNOWN, textOf(thrown), reason, false), stack);
  }

  /** It was told to end, and did. */
  #stopped(attempt: RunningAttempt, stack: string): AttemptEnding {
    return this.#ending(attempt, stoppedOutcome(attempt), stack);
  }

  #ending(attempt: RunningAttempt, outcome: AttemptOutcome, errorOutput: string): AttemptEnding {
    const endUs = Math.max(this.#clock.wallUs(), attempt.startUs);
    return { outcome, startUs: attempt.startUs, endUs, exitCode: null, output: "", errorOutput };
  }
}

/** The handler's part of a serialized Target, without a copy of what stands around it. */
function handlerOf(target: Uint8Array): HandlerTarget {
  const reader = new BinaryReader(target);
  let handler: HandlerTarget | null = null;
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === HANDLER_TAG) handler = HandlerTarget.decode(reader, reader.uint32());
    else reader.skip(tag & 7, tag >>> 3);
  }
  return handler ?? HandlerTarget.fromPartial({});
}

function badRequest(error: unknown): AttemptOutcome {
  return failed(
    FailureCode.INVALID_ARGUMENT,
    `the request is no message of the method: ${textOf(error)}`,
    "REQUEST_INVALID",
    true,
  );
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}

function textOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** A failure's text for the attempt's error output: the stack, with its causes. */
function stackOf(thrown: unknown): string {
  let text = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  for (let cause = causeOf(thrown), depth = 0; cause !== undefined && depth < 4; cause = causeOf(cause), depth++) {
    text += `\ncaused by: ${cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)}`;
  }
  return renderTail(Buffer.from(text), MAX_OUTPUT_TAIL_BYTES);
}

function causeOf(thrown: unknown): unknown {
  return thrown instanceof Error ? thrown.cause : undefined;
}
