import {
  type AttemptProgress,
  type AttemptResult,
  MAX_OUTPUT_PIECE_BYTES,
  MAX_PROGRESS_MESSAGE_CHARS,
  type OutputPiece,
} from "../../common/domain/attempt.ts";
import type { HeartbeatMessage } from "../../common/domain/session.ts";
import { type FieldViolation, JobmeshError } from "../../common/error/jobmesh-error.ts";

/** Checks a heartbeat. Throws INVALID_FIELD: room that is no count would give out slots that are not there. */
export function checkHeartbeat({ sequence, slots, memoryBytes }: HeartbeatMessage): void {
  const faults: FieldViolation[] = [];
  checkCount(faults, "heartbeat.sequence", sequence);
  checkCount(faults, "heartbeat.memory_bytes", memoryBytes);
  for (const [index, { free, receivedCount }] of slots.entries()) {
    const field = `heartbeat.slots[${index}]`;
    checkCount(faults, `${field}.free`, free);
    checkCount(faults, `${field}.received_count`, receivedCount);
  }
  if (faults.length > 0) throw JobmeshError.invalid(...faults);
}

/** Checks a piece of output. Throws INVALID_FIELD. Fields of a handler's line that are too long are left out by the store. */
export function checkOutput({ sequence, data, droppedBytes }: OutputPiece): void {
  const faults: FieldViolation[] = [];
  const report = (field: string, description: string): void => {
    faults.push({ field: `attempt_output.${field}`, description });
  };
  if (!isCount(sequence) || sequence === 0) report("sequence", `must be at least 1; was ${sequence}`);
  checkCount(faults, "attempt_output.dropped_bytes", droppedBytes);
  if (data.length > MAX_OUTPUT_PIECE_BYTES) {
    report("data", `must be at most ${MAX_OUTPUT_PIECE_BYTES} bytes; was ${data.length}`);
  }
  if (faults.length > 0) throw JobmeshError.invalid(...faults);
}

/** Checks a result that came by a session. Throws INVALID_FIELD: its sequence goes back with ResultStored. */
export function checkResult(sequence: number, { outputPieceCount }: AttemptResult): void {
  const faults: FieldViolation[] = [];
  checkCount(faults, "result.sequence", sequence);
  checkCount(faults, "result.event.output_piece_count", outputPieceCount);
  if (faults.length > 0) throw JobmeshError.invalid(...faults);
}

/** A count of the contract has 64 bits; what is none, or is not exact in a number, would come back as another. */
function checkCount(faults: FieldViolation[], field: string, value: number): void {
  if (isCount(value)) return;
  faults.push({ field, description: `must be from 0 to ${Number.MAX_SAFE_INTEGER}; was ${value}` });
}

/** Checks how far an attempt says it is. Throws INVALID_FIELD. */
export function checkProgress({ fraction, message }: Pick<AttemptProgress, "fraction" | "message">): void {
  const faults: FieldViolation[] = [];
  if (!(fraction >= 0 && fraction <= 1)) {
    faults.push({ field: "attempt_progress.fraction", description: `must be from 0 to 1; was ${fraction}` });
  }
  if (message.length > MAX_PROGRESS_MESSAGE_CHARS) {
    const description = `must be at most ${MAX_PROGRESS_MESSAGE_CHARS} characters; was ${message.length}`;
    faults.push({ field: "attempt_progress.message", description });
  }
  if (faults.length > 0) throw JobmeshError.invalid(...faults);
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}
