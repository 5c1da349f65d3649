import { type Execution, ExecutionView, executionStateToJSON } from "../../../gen/jobmesh/v1/execution.ts";
import { LogStream, ReadLogsRequest } from "../../../gen/jobmesh/v1/execution_service.ts";
import type { MeshClient } from "../../client/mesh-client.ts";
import { command } from "../../client/targets.ts";
import { isFinal } from "../../common/domain/execution.ts";
import { JobmeshError } from "../../common/error/jobmesh-error.ts";
import { SystemClock } from "../../common/runtime/system-clock.ts";
import { stateOfNumber } from "../../common/wire/execution.ts";
import { connect } from "../connection.ts";

/** Exit code of a command that did not end by itself: cancelled, timed out, lost. */
const EXIT_NOT_ENDED = 1;
/** Between two looks at an execution that waits for another attempt, or for a scheduler to come back. */
const LOOK_AGAIN_MS = 250;

/** `jobmesh run -- COMMAND`: submits, shows the output as it is written, exits as the command did. */
export async function run(argv: readonly string[]): Promise<number> {
  const connection = await connect(argv, "jobmesh run [options] -- COMMAND [ARGUMENT …]");
  if (connection === null) return 0;
  const { client, rest } = connection;
  try {
    const [program, ...args] = rest;
    if (program === undefined) {
      throw new JobmeshError("CONFIG_INVALID", { message: "run needs a command: jobmesh run -- COMMAND" });
    }
    // One word is a line for the shell, as with ssh; more words are a program and its arguments.
    const target = args.length === 0 ? command(program) : command(program, { args });
    const { executionId } = await client.submit({ target, name: rest.join(" ").slice(0, 255) });
    process.stderr.write(`jobmesh: execution ${executionId}\n`);
    return await exitCodeOf(client, await showOutput(client, executionId));
  } finally {
    await connection.close();
  }
}

/** What was shown last: an attempt, 0 before the first is known, and its piece. */
type Place = { attempt: number; afterSequence: bigint };

/** Shows what each attempt writes until the execution has ended, over schedulers that come and go. */
async function showOutput(client: MeshClient, executionId: string): Promise<Execution> {
  const clock = new SystemClock();
  const view = ExecutionView.EXECUTION_VIEW_FULL;
  let place: Place = { attempt: 0, afterSequence: 0n };
  for (;;) {
    try {
      await showAttempt(client, executionId, place);
      const { execution } = await client.executions.getExecution({ executionId, waitUntilEnded: false, view });
      if (execution === undefined) throw new JobmeshError("INTERNAL", { message: "the answer has no execution" });
      const shown = place.attempt === 0 ? execution.attempt : place.attempt;
      if (execution.attempt > shown) place = { attempt: shown + 1, afterSequence: 0n };
      else if (isEnded(execution)) return execution;
      else await clock.sleep(LOOK_AGAIN_MS);
    } catch (error) {
      if (JobmeshError.from(error).code !== "UNAVAILABLE") throw error;
      await clock.sleep(LOOK_AGAIN_MS);
    }
  }
}

/** Shows one attempt, the current one where none is known yet, from where it was left. */
async function showAttempt(client: MeshClient, executionId: string, place: Place): Promise<void> {
  const request = ReadLogsRequest.fromPartial({ executionId, ...place, follow: true });
  for await (const piece of client.executions.readLogs(request, { waitForReady: true })) {
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

async function exitCodeOf(client: MeshClient, execution: Execution): Promise<number> {
  if (stateOfNumber(execution.state) === "SUCCEEDED") return 0;
  const state = executionStateToJSON(execution.state).replace("EXECUTION_STATE_", "");
  const reason = execution.error?.message ?? execution.stateMessage;
  process.stderr.write(`jobmesh: ${state}${reason === "" ? "" : `: ${reason}`}\n`);
  const { attempts } = await client.executions.listAttempts({
    executionId: execution.executionId,
    pageSize: 1000,
    pageToken: "",
  });
  return attempts.at(-1)?.exitCode ?? EXIT_NOT_ENDED;
}
