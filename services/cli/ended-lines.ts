import type { Execution } from "../common/domain/execution.ts";
import type { ExecutionId } from "../common/domain/identifier.ts";
import type { Store } from "../common/port/store.ts";
import type { Logger } from "../common/runtime/log.ts";
import type { Hints } from "../scheduler/hints.ts";

/** Executions whose lines wait to be written; of more, only the number is shown. */
const MAX_WAITING = 1_000;
/** Characters of a name in a line; of a command without a name, its beginning is the name. */
const MAX_NAME_CHARACTERS = 60;
/** Characters of output in a line. */
const MAX_OUTPUT_CHARACTERS = 120;

/** Shows one readable line for each execution that ends, in the embedded mesh. */
export class EndedLines {
  readonly #deps: { store: Store; hints: Hints; log: Logger };
  #waiting: ExecutionId[] = [];
  #left = 0;
  #isOpen = false;
  #writing: Promise<void> | null = null;
  #unlisten: () => void = () => {};

  constructor(deps: { store: Store; hints: Hints; log: Logger }) {
    this.#deps = deps;
  }

  /** Notes what ends from now on; nothing is written yet. */
  start(): void {
    this.#unlisten = this.#deps.hints.on("ended", ({ executionId }) => {
      if (this.#waiting.length >= MAX_WAITING) this.#left += 1;
      else this.#waiting.push(executionId);
      this.#begin();
    });
  }

  /** Writes what was noted, and what ends from now on. */
  open(): void {
    this.#isOpen = true;
    this.#begin();
  }

  async stop(): Promise<void> {
    this.#unlisten();
    await this.#writing;
  }

  #begin(): void {
    if (this.#isOpen && this.#waiting.length > 0) this.#writing ??= this.#write();
  }

  async #write(): Promise<void> {
    try {
      while (this.#waiting.length > 0 || this.#left > 0) {
        for (const executionId of this.#waiting.splice(0)) await this.#show(executionId);
        if (this.#left > 0) process.stdout.write(`… and ${this.#left} more ended\n`);
        this.#left = 0;
      }
    } catch (error) {
      this.#deps.log.warn({ err: error }, "ended executions could not be shown");
    }
    this.#writing = null;
  }

  async #show(executionId: ExecutionId): Promise<void> {
    const { executions } = this.#deps.store;
    const [execution, attempts] = await Promise.all([
      executions.get(executionId),
      executions.attempts(executionId, 1_000, null),
    ]);
    if (execution === null) return;
    process.stdout.write(`${endedLine(execution, attempts.items.at(-1)?.output ?? "")}\n`);
  }
}

/** One execution in one line: when it ended, what became of it, its name, how long it ran, what it said. */
export function endedLine(execution: Execution, output: string): string {
  const time = execution.endedUs === null ? "" : new Date(execution.endedUs / 1000).toISOString().slice(11, 23);
  const ranMs =
    execution.startUs === null || execution.endedUs === null ? null : (execution.endedUs - execution.startUs) / 1000;
  const ran = ranMs === null ? "" : ` in ${Math.max(Math.round(ranMs), 0)} ms`;
  const words = execution.state === "SUCCEEDED" ? output : execution.failure?.message || execution.stateMessage;
  const firstLine = printable(words.trim().split("\n", 1)[0] ?? "", MAX_OUTPUT_CHARACTERS);
  const name = printable(execution.jobId ?? (execution.name || execution.target.summary), MAX_NAME_CHARACTERS);
  return `${time} ${execution.state.padEnd(9)} ${name}${ran}${firstLine === "" ? "" : `: ${firstLine}`}`;
}

/** One line of a terminal: no control character reaches it, and what is too long is cut. */
function printable(text: string, maxCharacters: number): string {
  const shown = text.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, " ").trim();
  return shown.length <= maxCharacters ? shown : `${shown.slice(0, maxCharacters - 1).toWellFormed()}…`;
}
