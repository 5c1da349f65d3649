/** What happened in a simulation, in order: its fingerprint, its last lines, and all of it when it is to be read. */
import { createHash } from "node:crypto";
import type { Timeline } from "./timeline.ts";

/** Lines that are kept for a failure's report. */
const KEPT_LINES = 60;

/** History notes what happens. */
export class History {
  readonly #timeline: Timeline;
  readonly #hash = createHash("sha256");
  readonly #last: string[] = [];
  readonly #write: ((line: string) => void) | null;
  #count = 0;

  /** @param write takes each line as it comes; null when nobody reads them. */
  constructor(timeline: Timeline, write: ((line: string) => void) | null) {
    this.#timeline = timeline;
    this.#write = write;
  }

  /** Lines so far. */
  get count(): number {
    return this.#count;
  }

  /** Notes that something happened to somebody. */
  note(who: string, what: string): void {
    const line = `${this.#timeline.nowMs.toFixed(3)} ${who} ${what}`;
    this.#count++;
    this.#hash.update(line).update("\n");
    this.#last[this.#count % KEPT_LINES] = line;
    this.#write?.(line);
  }

  /** The last lines, oldest first. */
  lastLines(): string[] {
    const from = this.#count + 1;
    const lines = Array.from({ length: KEPT_LINES }, (_, at) => this.#last[(from + at) % KEPT_LINES]);
    return lines.filter((line) => line !== undefined);
  }

  /** SHA-256 in hex of all lines; nothing is noted after it. */
  fingerprint(): string {
    return this.#hash.digest("hex");
  }
}
