import { Target } from "../../../gen/jobmesh/v1/job.ts";
import type { Capability } from "../../common/domain/executor.ts";
import { FailureCode } from "../../common/domain/failure.ts";
import type { RunningAttempt } from "../running-attempt.ts";
import type { OutputStream } from "../spawner/command-spec.ts";
import type { Spawner } from "../spawner/spawner.ts";
import type { AttemptEnding, TargetRunner } from "../target-runner.ts";
import { type CommandConfig, runCommand } from "./command.ts";

/** CommandRunner runs attempts at commands in the spawner, which keeps their timeouts (rule 22). */
export class CommandRunner implements TargetRunner {
  readonly capability: Capability = { kind: "command" };
  readonly keepsTimeout = true;
  readonly #spawner: Spawner;
  readonly #config: CommandConfig;

  constructor(spawner: Spawner, config: CommandConfig) {
    this.#spawner = spawner;
    this.#config = config;
  }

  run(attempt: RunningAttempt): AttemptEnding | Promise<AttemptEnding> {
    const { order } = attempt;
    const { kind } = Target.decode(attempt.target);
    if (kind?.$case !== "command") return noCommand(attempt);
    return runCommand(this.#spawner, this.#config, {
      attempt: { ...order, traceparent: attempt.traceparent },
      target: kind.value,
      timeoutMs: order.timeoutMs,
      signal: attempt.signal,
      onOutput: (stream, data, droppedBytes) => write(attempt, stream, data, droppedBytes),
      onStart: () => {},
    });
  }
}

function write(
  attempt: RunningAttempt,
  stream: OutputStream,
  data: Buffer,
  droppedBytes: number,
): void | Promise<void> {
  const name = stream === "stdout" ? "STDOUT" : "STDERR";
  return attempt.write({ stream: name, data, droppedBytes, level: "UNSPECIFIED", fieldsJson: "" });
}

/** The route said command and the bytes do not: whoever wrote the order is at fault, and no other try mends it. */
function noCommand(attempt: RunningAttempt): AttemptEnding {
  const failure = { code: FailureCode.INVALID_ARGUMENT, message: "the target is no command", reason: "TARGET_INVALID" };
  return {
    outcome: { kind: "failed", failure, nonRetryable: true, retryDelayMs: null },
    startUs: attempt.startUs,
    endUs: attempt.startUs,
    exitCode: null,
    output: "",
    errorOutput: failure.message,
  };
}
