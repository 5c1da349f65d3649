import type { ReadLogsRequest } from "../../../gen/jobmesh/v1/execution_service.ts";
import type { OutputStream } from "../../common/domain/attempt.ts";
import type { ExecutionId } from "../../common/domain/identifier.ts";
import { streamFromMessage } from "../../common/wire/output.ts";
import { FieldFaults } from "./field-faults.ts";

/** Most lines that `tail_lines` may ask for. */
export const MAX_TAIL_LINES = 100_000;

/** What a caller of ReadLogs wants. */
export type LogRequest = {
  readonly executionId: ExecutionId;
  /** 0 means the last one. */
  readonly attempt: number;
  /** Goes on while the attempt runs. */
  readonly follow: boolean;
  /** Goes on over retries, until the execution has ended. */
  readonly untilEnded: boolean;
  /** Of what is there only so many lines; 0 means all. */
  readonly tailLines: number;
  /** Piece of the attempt that was read last. */
  readonly afterSequence: number;
  /** All when empty. */
  readonly streams: readonly OutputStream[];
};

/** Reads a request. Throws INVALID_ARGUMENT with every field at fault. */
export function readLogRequest(request: ReadLogsRequest): LogRequest {
  const faults = new FieldFaults();
  const executionId = faults.executionId("execution_id", request.executionId);
  if (request.attempt < 0) faults.add("attempt", `must be at least 0; was ${request.attempt}`);
  const tailLines = Number(request.tailLines);
  if (tailLines < 0 || tailLines > MAX_TAIL_LINES) {
    faults.add("tail_lines", `must be from 0 to ${MAX_TAIL_LINES}; was ${request.tailLines}`);
  }
  const streams = new Set<OutputStream>();
  request.streams.forEach((number, index) => {
    const name = streamFromMessage(number);
    if (name === undefined) faults.add(`streams[${index}]`, `${number} is no output of an attempt`);
    else streams.add(name);
  });
  faults.throwIfAny();
  const { attempt, follow, untilEnded, afterSequence } = request;
  return {
    ...{ executionId, attempt, follow, untilEnded, tailLines },
    afterSequence: Number(afterSequence),
    streams: [...streams],
  };
}
