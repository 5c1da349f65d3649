/** Bytes of one character that can stand before a cut. */
const MAX_CONTINUATION_BYTES = 3;

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * The end of `bytes` as text that any store takes: at most `maxBytes` of UTF-8,
 * cut between characters, with U+FFFD for what is not UTF-8 and for NUL (rule 4
 * of protocol.md). The exact bytes went to `onOutput`.
 */
export function renderTail(bytes: Uint8Array, maxBytes: number): string {
  let start = Math.max(bytes.length - maxBytes, 0);
  if (start > 0) start = characterStart(bytes, start);
  const text = decoder.decode(bytes.subarray(start)).replaceAll("\0", "\uFFFD");
  // A wrong byte becomes three: what was short enough may be too long now.
  const rendered = Buffer.from(text);
  if (rendered.length <= maxBytes) return text;
  return rendered.toString("utf8", characterStart(rendered, rendered.length - maxBytes));
}

/** First index at or after `index` that does not lie inside a character. */
function characterStart(bytes: Uint8Array, index: number): number {
  let at = index;
  while (at < bytes.length && at - index < MAX_CONTINUATION_BYTES && ((bytes[at] ?? 0) & 0xc0) === 0x80) at++;
  return at;
}

/** TailBuffer keeps the last bytes of a stream. */
export class TailBuffer {
  readonly #maxBytes: number;
  #chunks: Uint8Array[] = [];
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Adds what came. The bytes are copied where a large chunk would be kept for a small part of it. */
  push(chunk: Uint8Array): void {
    if (chunk.length >= this.#maxBytes) {
      this.#chunks = [Buffer.from(chunk.subarray(chunk.length - this.#maxBytes))];
      this.#bytes = this.#maxBytes;
      return;
    }
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    // Joined at twice the size: each byte is copied at most once more.
    if (this.#bytes > 2 * this.#maxBytes || this.#chunks.length > 256) this.#join();
  }

  /** The last bytes, in one piece. */
  take(): Uint8Array {
    this.#join();
    return this.#chunks[0] ?? Buffer.alloc(0);
  }

  #join(): void {
    const all = Buffer.concat(this.#chunks);
    const kept = all.subarray(Math.max(all.length - this.#maxBytes, 0));
    this.#chunks = [kept];
    this.#bytes = kept.length;
  }
}
