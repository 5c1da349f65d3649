import { constants } from "node:os";
import { type Attempt, type Execution, ExecutionView, executionStateToJSON } from "../../gen/jobmesh/v1/execution.ts";
import type { MeshClient } from "../client/mesh-client.ts";
import { JobmeshError } from "../common/error/jobmesh-error.ts";
import { SystemClock } from "../common/runtime/system-clock.ts";
import { stateOfNumber } from "../common/wire/execution.ts";
import { failureFromStatus } from "../common/wire/failure.ts";
import { OutageWait } from "./outage-wait.ts";
import { showLog } from "./shown-log.ts";

/** Longest name of an execution. */
export const MAX_NAME_CHARACTERS = 255;
/** Exit code of a command that did not end by itself: cancelled, timed out, lost. */
const EXIT_NOT_ENDED = 1;
/** Exit code of a command that a signal ended, without the number of the signal. */
const FIRST_SIGNAL_EXIT = 128;

/**
 * Shows an execution to whoever submitted it: its name, its output as it is
 * written, how it ended. Answers the exit code: 0 after SUCCEEDED, a command's
 * own, else 1.
 */
export async function showExecution(client: MeshClient, executionId: string): Promise<number> {
  process.stderr.write(`jobmesh: execution ${executionId}\n`);
  return exitCodeOf(client, await showOutput(client, executionId));
}

/** Shows what each attempt writes until the execution has ended, over schedulers that come and go. */
async function showOutput(client: MeshClient, executionId: string): Promise<Execution> {
  const outage = new OutageWait(new SystemClock());
  await showLog(client, { executionId, attempt: 0, tailLines: 0, untilEnded: true }, outage);
  // The log is over when the execution has ended.
  const request = { executionId, waitUntilEnded: true, view: ExecutionView.EXECUTION_VIEW_FULL };
  const { execution } = await outage.run(() => client.executions.getExecution(request));
  if (execution === undefined) throw new JobmeshError("INTERNAL", { message: "the answer has no execution" });
  return execution;
}

/** As a shell has it: the command's own code, or 128 and the number of the signal that ended it. */
async function exitCodeOf(client: MeshClient, execution: Execution): Promise<number> {
  if (stateOfNumber(execution.state) === "SUCCEEDED") return 0;
  const { executionId, error, stateMessage } = execution;
  const words = error?.message ?? stateMessage;
  process.stderr.write(`jobmesh: ${stateWord(execution)}${words === "" ? "" : `: ${words}`}\n`);
  const [, signal] = /^signal:(\w+)$/.exec(error === undefined ? "" : failureFromStatus(error).reason) ?? [];
  const number = Object.entries(constants.signals).find(([name]) => name === `SIG${signal}`)?.[1];
  if (number !== undefined) return FIRST_SIGNAL_EXIT + number;
  return (await lastExitCode(client, executionId)) ?? EXIT_NOT_ENDED;
}

/** Of the last attempt, which is on the last page. */
async function lastExitCode(client: MeshClient, executionId: string): Promise<number | undefined> {
  let last: Attempt | undefined;
  let pageToken = "";
  do {
    const page = await client.executions.listAttempts({ executionId, pageSize: 1_000, pageToken });
    last = page.attempts.at(-1) ?? last;
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return last?.exitCode;
}

/** "50 %: half of it", as an attempt says how far it is; empty when it has said nothing. */
export function progressWords({ progressFraction, progressMessage }: ShownProgress): string {
  if (progressFraction === 0 && progressMessage === "") return "";
  return `${Math.round(progressFraction * 100)} %${progressMessage === "" ? "" : `: ${progressMessage}`}`;
}

type ShownProgress = Pick<Execution, "progressFraction" | "progressMessage">;

/** "SUCCEEDED", as people read a state. */
export function stateWord({ state }: Pick<Execution, "state">): string {
  return executionStateToJSON(state).replace("EXECUTION_STATE_", "");
}
