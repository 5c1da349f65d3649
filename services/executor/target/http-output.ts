import type { RunningAttempt } from "../running-attempt.ts";

/** Pieces of content that are in the log as they come; each is a row of the store. */
export const MAX_EAGER_PIECES = 64;
/** After those, content is in the log by this many bytes, so that no server makes a row of each byte. */
const LUMP_BYTES = 4 * 1024;

/**
 * HttpOutput is what an attempt at an HTTP target writes: the answer's content
 * is its standard output, the runner's own lines are its standard error. It never
 * waits for room: the content is bounded, and what finds none is counted (rule 35).
 */
export class HttpOutput {
  readonly #attempt: RunningAttempt;
  #pieces = 0;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #notes = "";

  constructor(attempt: RunningAttempt) {
    this.#attempt = attempt;
  }

  /** All lines of the runner's own so far. */
  get notes(): string {
    return this.#notes;
  }

  /** Takes a piece of the content. */
  content(data: Uint8Array): void {
    this.#waiting.push(data);
    this.#waitingBytes += data.length;
    if (this.#pieces < MAX_EAGER_PIECES || this.#waitingBytes >= LUMP_BYTES) this.flush();
  }

  /** Writes what waits; at the content's end, whatever end that is. */
  flush(): void {
    if (this.#waitingBytes === 0) return;
    this.#pieces++;
    this.#write("STDOUT", Buffer.concat(this.#waiting));
    this.#waiting = [];
    this.#waitingBytes = 0;
  }

  /** Writes a line of the runner's own. */
  note(words: string): void {
    const line = `jobmesh: ${words}\n`;
    this.#notes += line;
    this.#write("STDERR", Buffer.from(line));
  }

  #write(stream: "STDOUT" | "STDERR", data: Uint8Array): void {
    void this.#attempt.write({ stream, data, droppedBytes: 0, level: "UNSPECIFIED", fieldsJson: "" });
  }
}
