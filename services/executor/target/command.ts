import type { CommandTarget } from "../../../gen/jobmesh/v1/job.ts";
import { unreachable } from "../../common/domain/assert.ts";
import type { AttemptOutcome } from "../../common/domain/attempt.ts";
import { type Failure, FailureCode } from "../../common/domain/failure.ts";
import type { CommandIo, CommandResult, CommandSpec, OutputStream } from "../spawner/command-spec.ts";
import type { Spawner } from "../spawner/spawner.ts";
import type { AttemptEnding } from "../target-runner.ts";
import { type CommandAttempt, commandEnvironment } from "./command-environment.ts";
import { failed } from "./outcome.ts";

/** Settings of the command target. */
export interface CommandConfig {
  /** The executor's environment, cut down by allowedEnvironment. */
  readonly environment: Readonly<Record<string, string>>;
  /** Milliseconds between SIGTERM and SIGKILL. */
  readonly killGraceMs: number;
  /** Bytes of output that an attempt may forward. */
  readonly maxOutputBytes: number;
}

/** What runCommand runs. */
export interface CommandCall {
  /** Which attempt, and what it is told of itself. */
  readonly attempt: CommandAttempt;
  /** The target, as decoded from the dispatch. */
  readonly target: CommandTarget;
  /** Limit in milliseconds from the start; none when undefined. */
  readonly timeoutMs: number | undefined;
  /**
   * Ends it. The reason says how that counts: under REROUTE (rule 25), SHUTDOWN
   * and FENCED (rules 16, 21) it comes back as CUT_OFF, under any other it is
   * cancelled.
   */
  readonly signal: AbortSignal;
  /** Takes its output; see CommandIo. */
  onOutput(stream: OutputStream, data: Buffer, droppedBytes: number): void | Promise<void>;
  /** Hears when its process runs, in µs of wall-clock time. */
  onStart(startUs: number): void;
}

/** How an attempt at a command ended; errorOutput is the failure's text when the command wrote none. */
export interface CommandReport extends AttemptEnding {
  /** Bytes of output that nobody was handed. */
  readonly droppedBytes: number;
}

/** Reasons of an abort under which an attempt comes back and is not counted. */
const RETURNING_REASONS: ReadonlySet<string> = new Set(["REROUTE", "SHUTDOWN", "FENCED"]);

/** Errors of a start that say that this machine is full, not that the command is wrong. */
const FULL_MACHINE: ReadonlySet<string> = new Set(["EAGAIN", "ENOMEM", "EMFILE", "ENFILE"]);

/** Errors of a start that no other try and no other executor mends. */
const BAD_COMMAND: ReadonlySet<string> = new Set(["E2BIG", "ERR_INVALID_ARG_VALUE"]);

/** Runs one attempt at a command and says how it ended. Never rejects. */
export async function runCommand(spawner: Spawner, config: CommandConfig, call: CommandCall): Promise<CommandReport> {
  const io: CommandIo = {
    onOutput: (stream, data, droppedBytes) => call.onOutput(stream, data, droppedBytes),
    onStart: (startUs) => call.onStart(startUs),
    signal: call.signal,
  };
  return commandReport(await spawner.run(commandSpec(config, call), io).result);
}

/** The command that a call means. */
export function commandSpec(
  config: CommandConfig,
  call: Pick<CommandCall, "attempt" | "target" | "timeoutMs">,
): CommandSpec {
  const { target } = call;
  return {
    command: target.command,
    args: target.args,
    env: commandEnvironment(config.environment, target.env, call.attempt),
    workingDirectory: target.workingDirectory,
    stdin: standardInput(target),
    timeoutMs: call.timeoutMs,
    killGraceMs: config.killGraceMs,
    maxOutputBytes: config.maxOutputBytes,
  };
}

/** What a command's result means for its attempt. */
export function commandReport(result: CommandResult): CommandReport {
  const outcome = attemptOutcome(result);
  const failed = "failure" in outcome ? outcome.failure.message : "";
  return {
    outcome,
    startUs: result.processId === undefined ? null : result.startUs,
    endUs: result.endUs,
    exitCode: result.exitCode ?? null,
    output: result.stdoutTail,
    errorOutput: result.stderrTail === "" ? failed : result.stderrTail,
    droppedBytes: result.droppedBytes,
  };
}

function attemptOutcome(result: CommandResult): AttemptOutcome {
  const { outcome } = result;
  const started = result.processId !== undefined;
  switch (outcome.kind) {
    case "exited":
      if (outcome.exitCode === 0) return { kind: "succeeded", result: new Uint8Array() };
      return failed(FailureCode.UNKNOWN, `exit code ${outcome.exitCode}`, `exit:${outcome.exitCode}`, false);
    case "signaled": {
      const name = outcome.signal.replace(/^SIG/, "");
      return failed(FailureCode.UNKNOWN, `killed by signal ${name}`, `signal:${name}`, false);
    }
    case "timed_out":
      return { kind: "timed_out", failure: failure(FailureCode.DEADLINE_EXCEEDED, "ran past its timeout", "TIMEOUT") };
    case "stopped":
      if (!started)
        return { kind: "returned", reason: "NOT_STARTED", message: `stopped before its start: ${outcome.reason}` };
      if (RETURNING_REASONS.has(outcome.reason))
        return { kind: "returned", reason: "CUT_OFF", message: outcome.reason };
      return { kind: "cancelled", failure: failure(FailureCode.CANCELLED, "stopped on request", outcome.reason) };
    case "cut_off":
      return {
        kind: "returned",
        reason: started || outcome.mayHaveRun === true ? "CUT_OFF" : "NOT_STARTED",
        message: outcome.message,
      };
    case "spawn_failed":
      if (FULL_MACHINE.has(outcome.code)) return { kind: "returned", reason: "NOT_STARTED", message: outcome.message };
      return failed(
        FailureCode.INVALID_ARGUMENT,
        outcome.message,
        `spawn:${outcome.code}`,
        BAD_COMMAND.has(outcome.code),
      );
    default:
      return unreachable(outcome);
  }
}

function failure(code: number, message: string, reason: string): Failure {
  return { code, message, reason };
}

function standardInput(target: CommandTarget): Uint8Array | undefined {
  switch (target.input?.$case) {
    case "stdin":
      return target.input.value;
    case "stdinText":
      return Buffer.from(target.input.value);
    default:
      return undefined;
  }
}
