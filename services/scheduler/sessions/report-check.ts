import {
  type AttemptProgress,
  MAX_OUTPUT_PIECE_BYTES,
  MAX_PROGRESS_MESSAGE_CHARS,
  type OutputPiece,
} from "../../common/domain/attempt.ts";
import type { HeartbeatMessage } from "../../common/domain/session.ts";
import { type FieldViolation, JobmeshError } from "../../common/error/jobmesh-error.ts";

/** Checks a heartbeat. Throws INVALID_FIELD: room that is no count would give out slots that are not there. */
export function checkHeartbeat({ slots }: HeartbeatMessage): void {
  const faults: FieldViolation[] = [];
  for (const [index, { free, receivedCount }] of slots.entries()) {
    const field = `heartbeat.slots[${index}]`;
    if (!isCount(free)) faults.push({ field: `${field}.free`, description: `must be at least 0; was ${free}` });
    if (!isCount(receivedCount)) {
      faults.push({ field: `${field}.received_count`, description: `must be at least 0; was ${receivedCount}` });
    }
  }
  if (faults.length > 0) throw JobmeshError.invalid(...faults);
}

/** Checks a piece of output. Throws INVALID_FIELD. Fields of a handler's line that are too long are left out by the store. */
export function checkOutput({ sequence, data }: OutputPiece): void {
  const faults: FieldViolation[] = [];
  const report = (field: string, description: string): void => {
    faults.push({ field: `attempt_output.${field}`, description });
  };
  if (!isCount(sequence) || sequence === 0) report("sequence", `must be at least 1; was ${sequence}`);
  if (data.length > MAX_OUTPUT_PIECE_BYTES) {
    report("data", `must be at most ${MAX_OUTPUT_PIECE_BYTES} bytes; was ${data.length}`);
  }
  if (faults.length > 0) throw JobmeshError.invalid(...faults);
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
