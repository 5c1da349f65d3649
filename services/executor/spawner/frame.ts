/**
 * The frames between an executor and its spawner, both ways over one socket:
 *
 *   u32 length of what follows · u8 kind · f64 sent · payload
 *
 * `sent` is milliseconds of the machine's monotonic clock, which all processes
 * share: a frame that lay in the socket while its reader was stopped tells its
 * age, so an old sign of life is not taken for a new one.
 */

/** Most bytes of one frame: a target of 512 KiB, its environment and JSON's quoting fit. */
export const MAX_FRAME_BYTES = 4 * 1024 * 1024;

const LENGTH_BYTES = 4;
const HEAD_BYTES = 9;

/** What a frame says: up to 4 by the executor, from 16 by the spawner. */
export const FrameKind = {
  /** Run a command: JSON of StartFrame, then bytes for standard input. */
  START: 1,
  /** Stop one: JSON {id, reason}. */
  STOP: 2,
  /** The executor lives: JSON of AliveFrame. */
  ALIVE: 3,
  /** Kill everything and leave. */
  CLOSE: 4,
  /** Ready to run; again as the answer to each ALIVE. */
  READY: 16,
  /** A process runs: JSON of StartedFrame. */
  STARTED: 17,
  /** Output: u32 id, u8 stream (1 stdout, 2 stderr), f64 dropped before it, bytes. */
  OUTPUT: 18,
  /** A command ended: JSON of EndedFrame, the tails of stdout and stderr. */
  ENDED: 19,
  /** Something an operator should see: JSON {fields, message}. */
  WARNING: 20,
} as const;

/** One of FrameKind's values. */
export type FrameKind = (typeof FrameKind)[keyof typeof FrameKind];

/** A frame as it was read. */
export interface Frame {
  /** One of FrameKind's values; unchecked. */
  readonly kind: number;
  /** When it was sent, by sharedMonotonicMs. */
  readonly sentMs: number;
  /** The rest. */
  readonly payload: Buffer;
}

/** A frame's bytes, in as many buffers as it takes without copying `parts`. */
export function encodeFrame(kind: FrameKind, sentMs: number, ...parts: readonly Uint8Array[]): Uint8Array[] {
  const head = Buffer.allocUnsafe(LENGTH_BYTES + HEAD_BYTES);
  head.writeUInt32LE(
    parts.reduce((sum, part) => sum + part.length, HEAD_BYTES),
    0,
  );
  head.writeUInt8(kind, 4);
  head.writeDoubleLE(sentMs, 5);
  return [head, ...parts];
}

/** JSON and raw bytes behind it, as one payload. */
export function encodeJson(value: unknown, ...tail: readonly Uint8Array[]): Uint8Array[] {
  const json = Buffer.from(JSON.stringify(value));
  const length = Buffer.allocUnsafe(LENGTH_BYTES);
  length.writeUInt32LE(json.length);
  return [length, json, ...tail];
}

/** The two halves of what encodeJson made. The caller parses the JSON into what the frame's kind says. */
export function decodeJson(payload: Buffer): { value: unknown; rest: Buffer } {
  const end = LENGTH_BYTES + payload.readUInt32LE(0);
  return { value: JSON.parse(payload.toString("utf8", LENGTH_BYTES, end)), rest: payload.subarray(end) };
}

/** FrameReader cuts a stream of bytes into frames. */
export class FrameReader {
  #held: Buffer[] = [];
  #heldBytes = 0;

  /** The frames that are complete with these bytes. Throws when a length is beyond MAX_FRAME_BYTES. */
  push(chunk: Buffer): Frame[] {
    this.#held.push(chunk);
    this.#heldBytes += chunk.length;
    if (this.#heldBytes < this.#wanted()) return [];
    const bytes = this.#held.length === 1 ? chunk : Buffer.concat(this.#held);
    const frames: Frame[] = [];
    let at = 0;
    while (bytes.length - at >= LENGTH_BYTES) {
      const length = bytes.readUInt32LE(at);
      if (length > MAX_FRAME_BYTES || length < HEAD_BYTES) throw new Error(`frame of ${length} bytes`);
      const end = at + LENGTH_BYTES + length;
      if (end > bytes.length) break;
      frames.push({
        kind: bytes.readUInt8(at + 4),
        sentMs: bytes.readDoubleLE(at + 5),
        payload: bytes.subarray(at + LENGTH_BYTES + HEAD_BYTES, end),
      });
      at = end;
    }
    this.#held = at < bytes.length ? [bytes.subarray(at)] : [];
    this.#heldBytes = bytes.length - at;
    return frames;
  }

  /** Bytes without which nothing new can be complete: joins a large frame's chunks once, not at each chunk. */
  #wanted(): number {
    const first = this.#held[0];
    return first !== undefined && first.length >= LENGTH_BYTES
      ? LENGTH_BYTES + Math.min(first.readUInt32LE(0), MAX_FRAME_BYTES)
      : LENGTH_BYTES;
  }
}
