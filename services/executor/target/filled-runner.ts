import { Target } from "../../../gen/jobmesh/v1/job.ts";
import type { AttemptOutcome } from "../../common/domain/attempt.ts";
import type { DispatchOrder } from "../../common/domain/dispatch.ts";
import type { Capability } from "../../common/domain/executor.ts";
import { FailureCode } from "../../common/domain/failure.ts";
import { parameterMap } from "../../common/domain/parameter.ts";
import { mayHoldTemplate, type TemplateValues, templateParts } from "../../common/domain/template.ts";
import { TemplateFault, TextFiller } from "../../common/domain/text-filler.ts";
import type { Clock } from "../../common/port/clock.ts";
import { mapTexts } from "../../common/wire/target-texts.ts";
import type { RunningAttempt } from "../running-attempt.ts";
import { SecretFault, type SecretSource } from "../secrets.ts";
import type { AttemptEnding, TargetRunner } from "../target-runner.ts";
import { limitFault } from "./filled-limits.ts";
import { failed, noSecret, stoppedOutcome } from "./outcome.ts";

/**
 * Fills in what a target leaves open (contract, Target), at each attempt and
 * before anything of it is started or sent. The order keeps the target as it was
 * stored: what is filled in, secrets among it, lives as long as the attempt runs,
 * in this process alone.
 */

/** Secrets that one target may name. */
export const MAX_SECRETS = 64;

/** What a FilledRunner needs. */
export type FilledRunnerDeps = { readonly clock: Clock; readonly secrets: SecretSource };

/** The runners, each behind what fills in its targets. */
export function filledRunners(runners: readonly TargetRunner[], deps: FilledRunnerDeps): readonly TargetRunner[] {
  return runners.map((runner) => new FilledRunner(runner, deps));
}

/** FilledRunner hands attempts on to another runner, with their templates filled in. */
export class FilledRunner implements TargetRunner {
  readonly capability: Capability;
  readonly keepsTimeout: boolean;
  readonly #runner: TargetRunner;
  readonly #deps: FilledRunnerDeps;

  constructor(runner: TargetRunner, deps: FilledRunnerDeps) {
    this.#runner = runner;
    this.#deps = deps;
    this.capability = runner.capability;
    this.keepsTimeout = runner.keepsTimeout;
  }

  run(attempt: RunningAttempt): AttemptEnding | Promise<AttemptEnding> {
    const { bytes } = attempt.order.target;
    if (!mayHoldTemplate(bytes)) return this.#runner.run(attempt);
    const target = Target.decode(bytes);
    const wanted = secretsIn(target);
    return wanted.size === 0 ? this.#fill(attempt, target, new Map()) : this.#runWithSecrets(attempt, target, wanted);
  }

  close(): void {
    this.#runner.close?.();
  }

  async #runWithSecrets(
    attempt: RunningAttempt,
    target: Target,
    wanted: ReadonlyMap<string, string>,
  ): Promise<AttemptEnding> {
    if (wanted.size > MAX_SECRETS) {
      return this.#ending(attempt, invalid(`the target names ${wanted.size} secrets; at most ${MAX_SECRETS} are read`));
    }
    const secrets = new Map<string, string>();
    for (const [name, field] of wanted) {
      try {
        secrets.set(name, await this.#deps.secrets.read(name));
      } catch (fault) {
        if (!(fault instanceof SecretFault)) throw fault;
        return this.#ending(attempt, noSecret(`target.${field}: ${fault.message}`));
      }
    }
    // It was told to end meanwhile: nothing of it is started any more.
    if (attempt.cause !== null) return this.#ending(attempt, stoppedOutcome(attempt));
    return this.#fill(attempt, target, secrets);
  }

  #fill(
    attempt: RunningAttempt,
    target: Target,
    secrets: ReadonlyMap<string, string>,
  ): AttemptEnding | Promise<AttemptEnding> {
    const filler = new TextFiller({ values: valuesOf(attempt.order), secretOf: (name) => secrets.get(name) ?? "" });
    let field = "";
    try {
      const filled = mapTexts(target, (text, place) => {
        field = place.field;
        return filler.fill(text, place.kind);
      });
      const over = limitFault(filled);
      if (over !== null) return this.#ending(attempt, invalid(over));
      attempt.target = Target.encode(filled).finish();
    } catch (fault) {
      if (!(fault instanceof TemplateFault)) throw fault;
      return this.#ending(attempt, invalid(`target.${field}: ${fault.message}`));
    }
    return this.#runner.run(attempt);
  }

  #ending(attempt: RunningAttempt, outcome: AttemptOutcome): AttemptEnding {
    const endUs = Math.max(this.#deps.clock.wallUs(), attempt.startUs);
    const errorOutput = outcome.kind === "failed" ? outcome.failure.message : "";
    return { outcome, startUs: attempt.startUs, endUs, exitCode: null, output: "", errorOutput };
  }
}

/** The secrets that a target names, each with the field that names it first. */
function secretsIn(target: Target): ReadonlyMap<string, string> {
  const wanted = new Map<string, string>();
  mapTexts(target, (text, { field }) => {
    if (!mayHoldTemplate(text)) return text;
    for (const part of templateParts(text)) {
      if (part.kind === "secret" && !wanted.has(part.name)) wanted.set(part.name, field);
    }
    return text;
  });
  return wanted;
}

function valuesOf(order: DispatchOrder): TemplateValues {
  return {
    executionId: order.key.executionId,
    attempt: order.key.attempt,
    scheduledUs: order.scheduledUs,
    shardIndex: 0,
    shardCount: 0,
    parameters: parameterMap(order.parameters),
    labels: order.labels,
  };
}

function invalid(message: string): AttemptOutcome {
  return failed(FailureCode.INVALID_ARGUMENT, message, "TEMPLATE_INVALID", true);
}
