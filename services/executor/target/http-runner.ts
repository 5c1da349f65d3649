import { type HttpTarget, Target } from "../../../gen/jobmesh/v1/job.ts";
import { type AttemptOutcome, MAX_OUTPUT_TAIL_BYTES, MAX_RESULT_BYTES } from "../../common/domain/attempt.ts";
import type { Capability } from "../../common/domain/executor.ts";
import { FailureCode } from "../../common/domain/failure.ts";
import { literalCredentials } from "../../common/domain/http-header.ts";
import { queryCredentials } from "../../common/domain/url-credential.ts";
import type { Clock } from "../../common/port/clock.ts";
import type { RunningAttempt } from "../running-attempt.ts";
import { renderTail } from "../spawner/tail.ts";
import type { AttemptEnding, TargetRunner } from "../target-runner.ts";
import { AddressGuard, type AddressGuardConfig } from "./address-guard.ts";
import { exchange, type HttpAnswer, type HttpContent, HttpFault } from "./http-exchange.ts";
import { faultFailure, retryAfterMs, statusFailure } from "./http-outcome.ts";
import { HttpOutput } from "./http-output.ts";
import { type HttpRequest, httpRequest, redirect } from "./http-request.ts";
import { failed, isTooLate, stoppedOutcome } from "./outcome.ts";

/**
 * Sends an HTTP request and waits for its answer; 2xx is success. The content,
 * up to 256 KiB, is the attempt's standard output as it comes, and, of a success,
 * the execution's result. What the runner has to say besides (a redirect, a cut,
 * a credential in so many words) is its standard error. An attempt that has to
 * end ends its connection at once: what the server made of the request is not
 * known then, which is what Idempotency-Key is for.
 */

/** Redirects that one attempt follows. */
export const MAX_REDIRECTS = 5;

/** What an HttpRunner needs. */
export type HttpRunnerDeps = { readonly clock: Clock; readonly guard: AddressGuard };

/** Settings of an HttpRunner. */
export type HttpRunnerConfig = {
  /** Version of the software, for the User-Agent. */
  readonly version: string;
};

/** The last answer of an attempt. */
type Ended = {
  readonly status: number;
  readonly content: HttpContent;
  /** Why a redirect was not followed; empty when it was none. */
  readonly why: string;
  readonly retryDelayMs: number | null;
};

/** HttpRunner runs attempts at HTTP targets. */
export class HttpRunner implements TargetRunner {
  readonly capability: Capability = { kind: "http" };
  readonly keepsTimeout = false;
  readonly #deps: HttpRunnerDeps;
  readonly #userAgent: string;

  constructor(deps: HttpRunnerDeps, config: HttpRunnerConfig) {
    this.#deps = deps;
    this.#userAgent = `jobmesh/${config.version}`;
  }

  async run(attempt: RunningAttempt): Promise<AttemptEnding> {
    const { kind } = Target.decode(attempt.target);
    if (kind?.$case !== "http") return this.#ending(attempt, noRequest(), "", "");
    const output = new HttpOutput(attempt);
    noteCredentials(attempt, kind.value, output);
    try {
      const ended = await this.#send(attempt, kind.value, output);
      const tail = renderTail(ended.content.bytes, MAX_OUTPUT_TAIL_BYTES);
      return this.#ending(attempt, outcomeOf(attempt, ended), tail, output.notes);
    } catch (error) {
      if (attempt.cause !== null) return this.#ending(attempt, stoppedOutcome(attempt), "", output.notes);
      if (!(error instanceof HttpFault)) throw error;
      return this.#ending(attempt, faultFailure(error), "", output.notes);
    }
  }

  /** Sends the request, and again where redirects lead. Throws HttpFault. */
  async #send(attempt: RunningAttempt, target: HttpTarget, output: HttpOutput): Promise<Ended> {
    const bounds = { guard: this.#deps.guard, maxBodyBytes: MAX_RESULT_BYTES, signal: attempt.signal };
    let request = requestOf(target, attempt, this.#userAgent);
    for (let followed = 0; ; followed++) {
      const answer = await exchange(request, bounds);
      const place = placeAfter(request, answer, followed);
      if ("next" in place) {
        answer.discard();
        // The origin alone: a path may be a secret of the server that named it.
        output.note(`HTTP ${answer.status} leads to ${place.next.url.origin}`);
        request = place.next;
        continue;
      }
      const content = await answer.read((data) => output.content(data));
      output.flush();
      if (content.isCut) output.note(`the answer is longer than ${MAX_RESULT_BYTES} bytes; the rest was not read`);
      const nowMs = this.#deps.clock.wallUs() / 1000;
      const retryDelayMs = retryAfterMs(answer.header("retry-after"), answer.header("date"), nowMs);
      return { status: answer.status, content, why: place.refusal, retryDelayMs };
    }
  }

  #ending(attempt: RunningAttempt, outcome: AttemptOutcome, output: string, notes: string): AttemptEnding {
    const endUs = Math.max(this.#deps.clock.wallUs(), attempt.startUs);
    const failed = "failure" in outcome ? outcome.failure.message : "";
    const errorOutput = renderTail(Buffer.from(notes + failed), MAX_OUTPUT_TAIL_BYTES);
    return { outcome, startUs: attempt.startUs, endUs, exitCode: null, output, errorOutput };
  }
}

/** An HttpRunner by the settings of its executor. */
export function httpRunner(
  settings: AddressGuardConfig,
  parts: { readonly clock: Clock; readonly version: string },
): HttpRunner {
  return new HttpRunner({ clock: parts.clock, guard: new AddressGuard(settings) }, parts);
}

/** Says which of the target's values are credentials in so many words: as it was given, since secrets are filled in by now. */
function noteCredentials(attempt: RunningAttempt, target: HttpTarget, output: HttpOutput): void {
  const { bytes } = attempt.order.target;
  const stored = attempt.target === bytes ? { $case: "http" as const, value: target } : Target.decode(bytes).kind;
  if (stored?.$case !== "http") return;
  for (const name of literalCredentials(stored.value.headers)) {
    output.note(`the header ${name} is given in so many words: whoever reads the job reads its value`);
  }
  for (const name of queryCredentials(stored.value.url)) {
    output.note(`the query's ${JSON.stringify(name)} is a credential: lists of executions show the URL`);
  }
}

function requestOf(target: HttpTarget, attempt: RunningAttempt, userAgent: string): HttpRequest {
  try {
    return httpRequest(target, attempt, userAgent);
  } catch (cause) {
    throw new HttpFault("TARGET_INVALID", "the target's URL is none", cause);
  }
}

/** Where an answer leads; a refusal without words when it leads nowhere. */
function placeAfter(request: HttpRequest, answer: HttpAnswer, followed: number): ReturnType<typeof redirect> {
  if (answer.status < 300 || answer.status > 399) return { refusal: "" };
  const place = redirect(request, answer.status, answer.header("location"));
  if ("next" in place && followed >= MAX_REDIRECTS) return { refusal: `more than ${MAX_REDIRECTS} redirects` };
  return "next" in place ? place : { refusal: `not followed: ${place.refusal}` };
}

/** A whole answer is what happened, also when the attempt was told to end meanwhile; past its timeout it is none. */
function outcomeOf(attempt: RunningAttempt, { status, content, why, retryDelayMs }: Ended): AttemptOutcome {
  const isCutShort = attempt.cause !== null && content.fault !== null;
  if (isTooLate(attempt) || isCutShort) return stoppedOutcome(attempt);
  if (status < 200 || status > 299) return statusFailure(status, why, retryDelayMs);
  return content.fault === null ? { kind: "succeeded", result: content.bytes } : faultFailure(content.fault);
}

function noRequest(): AttemptOutcome {
  return failed(FailureCode.INVALID_ARGUMENT, "the target is no HTTP request", "TARGET_INVALID", true);
}
