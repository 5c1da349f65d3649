import { closeSync, existsSync, openSync, readSync } from "node:fs";
import { outsideTurn } from "./outside-turn.ts";

const CHUNK_BYTES = 1024 * 1024;

/** Follows the outside record while it grows, so that a test can act on what has really started. */
export class TruthTail {
  readonly #path: string;
  readonly #started = new Set<string>();
  #offset = 0;
  #rest = "";
  #starts = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /** Resolves when so many attempts have started. */
  async starts(count: number): Promise<void> {
    await this.#until(() => this.#starts >= count);
  }

  /** Resolves when an attempt of this execution has started. */
  async started(executionId: string): Promise<void> {
    await this.#until(() => this.#started.has(executionId));
  }

  async #until(isReached: () => boolean): Promise<void> {
    for (this.#read(); !isReached(); this.#read()) await outsideTurn();
  }

  #read(): void {
    if (!existsSync(this.#path)) return;
    const file = openSync(this.#path, "r");
    const chunk = Buffer.alloc(CHUNK_BYTES);
    for (let read = -1; read !== 0; this.#offset += read) {
      read = readSync(file, chunk, 0, CHUNK_BYTES, this.#offset);
      this.#take(chunk.toString("latin1", 0, read));
    }
    closeSync(file);
  }

  #take(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      const [executionId = "", , word] = line.split(" ");
      if (word !== "start") continue;
      this.#started.add(executionId);
      this.#starts += 1;
    }
  }
}
