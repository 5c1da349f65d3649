import { type Execution, ExecutionState, executionStateToJSON } from "../../../gen/jobmesh/v1/execution.ts";
import { LogStream } from "../../../gen/jobmesh/v1/execution_service.ts";
import type { MeshClient } from "../../client/mesh-client.ts";
import { command } from "../../client/targets.ts";
import { JobmeshError } from "../../common/error/jobmesh-error.ts";
import { connect } from "../connection.ts";

/** Exit code of a command that did not end by itself: cancelled, timed out, lost. */
const EXIT_NOT_ENDED = 1;

/** `jobmesh run -- COMMAND`: submits, shows the output as it is written, exits as the command did. */
export async function run(argv: readonly string[]): Promise<number> {
  const connection = await connect(argv, "jobmesh run [options] -- COMMAND [ARGUMENT …]");
  if (connection === null) return 0;
  const { client, rest } = connection;
  try {
    const [program, ...args] = rest;
    if (program === undefined) throw JobmeshError.invalid({ field: "COMMAND", description: "is required, after --" });
    // One word is a line for the shell, as with ssh; more words are a program and its arguments.
    const target = args.length === 0 ? command(program) : command(program, { args });
    const { executionId } = await client.submit({ target, name: rest.join(" ").slice(0, 255) });
    process.stderr.write(`jobmesh: execution ${executionId}\n`);
    await showOutput(client, executionId);
    return await exitCodeOf(client, await client.waitUntilEnded(executionId));
  } finally {
    await connection.close();
  }
}

async function showOutput(client: MeshClient, executionId: string): Promise<void> {
  const request = {
    executionId,
    attempt: 0,
    follow: true,
    untilEnded: false,
    tailLines: 0n,
    afterSequence: 0n,
    streams: [],
  };
  for await (const piece of client.executions.readLogs(request, { waitForReady: true })) {
    const output = piece.stream === LogStream.LOG_STREAM_STDERR ? process.stderr : process.stdout;
    if (piece.content !== undefined) output.write(piece.content.value);
  }
}

async function exitCodeOf(client: MeshClient, execution: Execution): Promise<number> {
  if (execution.state === ExecutionState.EXECUTION_STATE_SUCCEEDED) return 0;
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
