import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { join } from "node:path";

/**
 * A lifeline tells by an event that processes have ended, without asking for
 * their pids again and again: they hold the writing end of a fifo, and its
 * reader sees the end of file when the last of them is gone. In a shell:
 * `exec 9>"$LIFELINE"; echo ready >&9; …`; everything that it starts inherits it.
 */
export class Lifeline {
  /** Path of the fifo. */
  readonly path: string;
  /** Lines written to it so far. */
  readonly lines: string[] = [];
  /** Resolves when all writers are gone; there must have been one. */
  readonly ended: Promise<void>;
  readonly #reader: ChildProcess;
  readonly #waiting: { count: number; resolve: () => void }[] = [];

  /** Makes a fifo of that name in a folder. */
  constructor(folder: string, name = "lifeline") {
    this.path = join(folder, name);
    execFileSync("mkfifo", [this.path]);
    this.#reader = spawn("cat", [this.path], { stdio: ["ignore", "pipe", "inherit"] });
    let held = "";
    this.#reader.stdout?.on("data", (data: Buffer) => {
      held += data.toString();
      const parts = held.split("\n");
      held = parts.pop() ?? "";
      this.lines.push(...parts);
      for (const waiting of this.#waiting) if (this.lines.length >= waiting.count) waiting.resolve();
    });
    this.ended = new Promise((resolve) => {
      this.#reader.on("close", () => resolve());
    });
  }

  /** Resolves when that many lines were written. */
  written(count: number): Promise<void> {
    if (this.lines.length >= count) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.push({ count, resolve });
    });
  }

  /** Ends the reader, whoever still writes. */
  close(): void {
    this.#reader.kill("SIGKILL");
  }
}
