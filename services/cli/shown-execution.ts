import { constants } from "node:os";
import { type Execution, ExecutionView, executionStateToJSON } from "../../gen/jobmesh/v1/execution.ts";
import { LogStream, ReadLogsRequest } from "../../gen/jobmesh/v1/execution_service.ts";
import type { MeshClient } from "../client/mesh-client.ts";
import { isFinal } from "../common/domain/execution.ts";
import { JobmeshError } from "../common/error/jobmesh-error.ts";
import { SystemClock } from "../common/runtime/system-clock.ts";
import { stateOfNumber } from "../common/wire/execution.ts";
import { failureFromStatus } from "../common/wire/failure.ts";

/** Longest name of an execution. */
export const MAX_NAME_CHARACTERS = 255;
/** Exit code of a command that did not end by itself: cancelled, timed out, lost. */
const EXIT_NOT_ENDED = 1;
/** Exit code of a command that a signal ended, without the number of the signal. */
const FIRST_SIGNAL_EXIT = 128;
/** Between two looks at an execution that waits for another attempt, or for a scheduler to come back. */
const LOOK_AGAIN_MS = 250;
/** How long no scheduler may answer before `run` gives up; the execution goes on without it. */
const MAX_AWAY_MS = 60_000;

/**
 * Shows an execution to whoever submitted it: its name, its output as it is
 * written, how it ended. Answers the exit code: 0 after SUCCEEDED, a command's
 * own, else 1.
 */
export async function showExecution(client: MeshClient, executionId: string): Promise<number> {
  process.stderr.write(`jobmesh: execution ${executionId}\n`);
  return exitCodeOf(client, await showOutput(client, executionId));
}

/** What was shown last: an attempt, 0 before the first is known, and its piece. */
type Place = { attempt: number; afterSequence: bigint };

/** Shows what each attempt writes until the execution has ended, over schedulers that come and go. */
async function showOutput(client: MeshClient, executionId: string): Promise<Execution> {
  const clock = new SystemClock();
  const view = ExecutionView.EXECUTION_VIEW_FULL;
  let place: Place = { attempt: 0, afterSequence: 0n };
  let awaySinceMs: number | null = null;
  for (;;) {
    try {
      await showAttempt(client, executionId, place);
      const { execution } = await client.executions.getExecution({ executionId, waitUntilEnded: false, view });
      if (execution === undefined) throw new JobmeshError("INTERNAL", { message: "the answer has no execution" });
      awaySinceMs = null;
      const shown = place.attempt === 0 ? execution.attempt : place.attempt;
      if (execution.attempt > shown) place = { attempt: shown + 1, afterSequence: 0n };
      else if (isEnded(execution)) return execution;
      else await clock.sleep(LOOK_AGAIN_MS);
    } catch (error) {
      if (JobmeshError.from(error).code !== "UNAVAILABLE") throw error;
      if (awaySinceMs === null) process.stderr.write("jobmesh: no scheduler answers now, waiting for one\n");
      awaySinceMs ??= clock.monotonicMs();
      if (clock.monotonicMs() - awaySinceMs > MAX_AWAY_MS) throw error;
      await clock.sleep(LOOK_AGAIN_MS);
    }
  }
}

/** Shows one attempt, the current one where none is known yet, from where it was left. */
async function showAttempt(client: MeshClient, executionId: string, place: Place): Promise<void> {
  const request = ReadLogsRequest.fromPartial({ executionId, ...place, follow: true });
  for await (const piece of client.executions.readLogs(request)) {
    const output = piece.stream === LogStream.LOG_STREAM_STDERR ? process.stderr : process.stdout;
    if (piece.content !== undefined) output.write(piece.content.value);
    place.attempt = piece.attempt;
    place.afterSequence = piece.sequence;
  }
}

function isEnded({ state }: Execution): boolean {
  const known = stateOfNumber(state);
  return known !== null && isFinal(known);
}

/** As a shell has it: the command's own code, or 128 and the number of the signal that ended it. */
async function exitCodeOf(client: MeshClient, execution: Execution): Promise<number> {
  if (stateOfNumber(execution.state) === "SUCCEEDED") return 0;
  const { executionId, error, stateMessage } = execution;
  const state = executionStateToJSON(execution.state).replace("EXECUTION_STATE_", "");
  const words = error?.message ?? stateMessage;
  process.stderr.write(`jobmesh: ${state}${words === "" ? "" : `: ${words}`}\n`);
  const [, signal] = /^signal:(\w+)$/.exec(error === undefined ? "" : failureFromStatus(error).reason) ?? [];
  const number = Object.entries(constants.signals).find(([name]) => name === `SIG${signal}`)?.[1];
  if (number !== undefined) return FIRST_SIGNAL_EXIT + number;
  const { attempts } = await client.executions.listAttempts({ executionId, pageSize: 1_000, pageToken: "" });
  return attempts.at(-1)?.exitCode ?? EXIT_NOT_ENDED;
}
