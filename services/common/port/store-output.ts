import type { OutputPiece, OutputStream } from "../domain/attempt.ts";
import type { ExecutionId } from "../domain/identifier.ts";

/** Which pieces of an attempt are read. */
export type OutputQuery = {
  readonly executionId: ExecutionId;
  readonly attempt: number;
  readonly afterSequence: number;
  /** All when empty. */
  readonly streams: readonly OutputStream[];
  /** Reading ends when so many bytes are together, but not before the first piece. */
  readonly maxBytes: number;
};

/** Output of attempts, piece by piece (rule 35). */
export interface OutputStore {
  /** Stores pieces; those that are there stay as they are. */
  append(pieces: readonly OutputPiece[]): Promise<void>;
  /** Pieces of an attempt after a sequence, in order, until `maxBytes` are together (at least one piece). */
  read(query: OutputQuery): Promise<readonly OutputPiece[]>;
  /** The same backwards: those after `afterSequence` and before `beforeSequence`, the last one first. */
  readBack(query: OutputQuery & { readonly beforeSequence: number }): Promise<readonly OutputPiece[]>;
  /** Number of pieces that the ended attempt said it wrote and of those stored; null while it has not ended. */
  completeness(
    executionId: ExecutionId,
    attempt: number,
  ): Promise<{ readonly written: number; readonly stored: number } | null>;
}
