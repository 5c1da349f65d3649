import { MAX_OUTPUT_PIECE_BYTES, type OutputPiece, type OutputStream } from "../../common/domain/attempt.ts";
import type { OutputQuery, OutputStore } from "../../common/port/store-output.ts";

/**
 * The last lines of a log. Output is stored in pieces as it was written, of
 * two streams and a handler's lines among each other; a line belongs to its
 * stream and stands where it ends. The pieces are read from the last one back
 * until enough lines are there and each of them has its beginning; what is
 * found is only where to begin, so that a long log is never held.
 */

/** What one tail reads back at most: the output of two attempts. A line that is longer is shown from there. */
const MAX_TAIL_BYTES = 16 * 1024 * 1024;
/** Read back at once. */
const READ_BYTES = 512 * 1024;
const NEWLINE = 0x0a;

/** Where a stream's part of the tail begins. */
type StreamStart = { readonly sequence: number; readonly offset: number };

/** TailCut takes from the pieces of an attempt what stands before its last lines. */
export class TailCut {
  readonly #starts: ReadonlyMap<OutputStream, StreamStart>;
  readonly #lastSequence: number;

  /** @param lastSequence piece that was the last one when the lines were counted: what comes after it is whole */
  constructor(starts: ReadonlyMap<OutputStream, StreamStart>, lastSequence: number) {
    this.#starts = starts;
    this.#lastSequence = lastSequence;
  }

  /** No piece up to this one has anything to show. */
  get skippedSequence(): number {
    return Math.min(this.#lastSequence, ...[...this.#starts.values()].map(({ sequence }) => sequence - 1));
  }

  /** What is to be shown of a piece; null for nothing. */
  shown(piece: OutputPiece): OutputPiece | null {
    if (piece.sequence > this.#lastSequence) return piece;
    const start = this.#starts.get(piece.stream);
    if (start === undefined || piece.sequence < start.sequence) return null;
    if (piece.sequence > start.sequence || start.offset === 0) return piece;
    // What was left out before the piece stands before its first line, which is not shown.
    return start.offset >= piece.data.length
      ? null
      : { ...piece, data: piece.data.subarray(start.offset), droppedBytes: 0 };
  }
}

/** Where a tail begins: in this attempt, with this cut; the attempts after it are whole. */
export type TailStart = { readonly attempt: number; readonly cut: TailCut | null };

/** Which log the tail is of: attempts `first` to `last`, of the first one what comes after a piece. */
export type TailQuery = Pick<OutputQuery, "executionId" | "afterSequence" | "streams"> & {
  readonly first: number;
  readonly last: number;
  /** At least 1. */
  readonly lines: number;
};

/** Finds where the last lines begin. Ends early, with what it has, when the signal aborts. */
export async function findTail(output: OutputStore, query: TailQuery, signal: AbortSignal): Promise<TailStart> {
  const { executionId, streams, first, last } = query;
  let left = query.lines;
  let bytes = MAX_TAIL_BYTES;
  for (let attempt = last; attempt >= first; attempt -= 1) {
    const scan = new LineScan(left);
    const afterSequence = attempt === first ? query.afterSequence : 0;
    let beforeSequence = Number.MAX_SAFE_INTEGER;
    while (!scan.isDone && bytes > 0 && !signal.aborted) {
      const maxBytes = Math.min(READ_BYTES, bytes);
      const place = { executionId, attempt, afterSequence, beforeSequence, streams, maxBytes };
      const pieces = await output.readBack(place);
      const earliest = pieces.at(-1);
      if (earliest === undefined) break;
      for (const piece of pieces) scan.take(piece);
      beforeSequence = earliest.sequence;
      bytes -= pieces.reduce((sum, { data }) => sum + data.length, 0);
    }
    left = scan.left;
    if (left === 0 || bytes <= 0 || attempt === first || signal.aborted) return { attempt, cut: scan.cut() };
  }
  return { attempt: first, cut: null };
}

/** Counts the lines of one attempt, from its last piece back. */
class LineScan {
  /** Lines that are still to be found. */
  left: number;
  /** First byte of what is shown, by stream; a stream that is not here shows nothing. */
  readonly #starts = new Map<OutputStream, StreamStart>();
  /** Streams whose first line has its beginning. */
  readonly #closed = new Set<OutputStream>();
  #lastSequence = 0;

  constructor(lines: number) {
    this.left = lines;
  }

  /** True when all lines are found, each with its beginning. */
  get isDone(): boolean {
    return this.left === 0 && [...this.#starts.keys()].every((stream) => this.#closed.has(stream));
  }

  take(piece: OutputPiece): void {
    this.#lastSequence = Math.max(this.#lastSequence, piece.sequence);
    if (this.#closed.has(piece.stream)) return;
    if (piece.stream === "HANDLER") this.#takeEntry(piece);
    else this.#takeBytes(piece);
  }

  /** null when nothing stands before the lines. */
  cut(): TailCut | null {
    return this.#lastSequence === 0 ? null : new TailCut(this.#starts, this.#lastSequence);
  }

  /** A piece of a handler is a line, or a part of one that is longer than a piece. */
  #takeEntry({ stream, sequence, data }: OutputPiece): void {
    const goesOn = this.#starts.has(stream) && data.length === MAX_OUTPUT_PIECE_BYTES;
    if (goesOn || this.#found()) this.#starts.set(stream, { sequence, offset: 0 });
    else this.#closed.add(stream);
  }

  #takeBytes({ stream, sequence, data }: OutputPiece): void {
    if (data.length === 0) return;
    let end = data.length;
    if (!this.#starts.has(stream)) {
      if (!this.#found()) return void this.#closed.add(stream);
      // The newline at the very end is its last line's own.
      if (data[end - 1] === NEWLINE) end -= 1;
    }
    for (;;) {
      const newline = end === 0 ? -1 : data.lastIndexOf(NEWLINE, end - 1);
      if (newline === -1) return void this.#starts.set(stream, { sequence, offset: 0 });
      if (!this.#found()) {
        this.#starts.set(stream, { sequence, offset: newline + 1 });
        return void this.#closed.add(stream);
      }
      end = newline;
    }
  }

  /** Takes one more line, if one is still wanted. */
  #found(): boolean {
    if (this.left === 0) return false;
    this.left -= 1;
    return true;
  }
}
