import {
  LogStream,
  logLevelToJSON,
  ReadLogsRequest,
  type ReadLogsResponse,
} from "../../gen/jobmesh/v1/execution_service.ts";
import type { MeshClient } from "../client/mesh-client.ts";
import type { OutageWait } from "./outage-wait.ts";

/** Which log is shown. */
export type LogChoice = {
  readonly executionId: string;
  /** 0 for the last one. */
  readonly attempt: number;
  /** Goes on over retries, until the execution has ended. */
  readonly untilEnded: boolean;
  /** 0 for all lines. */
  readonly tailLines: number;
};

/**
 * Shows a log as it was written, standard error apart, over schedulers that
 * come and go: another one goes on after the piece that was shown last.
 */
export async function showLog(client: MeshClient, choice: LogChoice, outage: OutageWait): Promise<void> {
  let place: Partial<ReadLogsRequest> = { attempt: choice.attempt, tailLines: BigInt(choice.tailLines) };
  const { executionId, untilEnded } = choice;
  await outage.run(async () => {
    const request = ReadLogsRequest.fromPartial({ executionId, untilEnded, ...place });
    for await (const piece of client.executions.readLogs(request)) {
      show(piece);
      place = { attempt: piece.attempt, afterSequence: piece.sequence };
    }
  });
}

function show(piece: ReadLogsResponse): void {
  const { stream, content } = piece;
  if (content === undefined) return;
  if (stream === LogStream.LOG_STREAM_HANDLER) process.stdout.write(entryOf(piece, String(content.value)));
  else (stream === LogStream.LOG_STREAM_STDERR ? process.stderr : process.stdout).write(content.value);
}

/** What a handler logged, in a line of its own. */
function entryOf({ level, fieldsJson }: ReadLogsResponse, text: string): string {
  const name = logLevelToJSON(level).replace("LOG_LEVEL_", "");
  return `${name} ${text}${fieldsJson === "" ? "" : ` ${fieldsJson}`}\n`;
}
