import type { OutputPiece, OutputStream } from "../domain/attempt.ts";
import type { ExecutionId } from "../domain/identifier.ts";

/** Output of attempts, piece by piece (rule 35). */
export interface OutputStore {
  /** Stores pieces; those that are there stay as they are. */
  append(pieces: readonly OutputPiece[]): Promise<void>;
  /** Pieces of an attempt after a sequence, in order, until `maxBytes` are together (at least one piece). */
  read(query: {
    readonly executionId: ExecutionId;
    readonly attempt: number;
    readonly afterSequence: number;
    readonly streams: readonly OutputStream[];
    readonly maxBytes: number;
  }): Promise<readonly OutputPiece[]>;
  /** Number of pieces that the ended attempt said it wrote and of those stored; null while it has not ended. */
  completeness(
    executionId: ExecutionId,
    attempt: number,
  ): Promise<{ readonly written: number; readonly stored: number } | null>;
}
