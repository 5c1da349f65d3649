import type { ExecutionId } from "../../common/domain/identifier.ts";
import type { Clock } from "../../common/port/clock.ts";
import type { Hints } from "../hints.ts";

/**
 * Wakes a reader when output of its execution is stored, by this scheduler or
 * by a peer that hints of it (rule 31), and when the execution ends.
 */
export class OutputNews {
  readonly #clock: Clock;
  readonly #unlisten: readonly (() => void)[];
  #wake: AbortController | null = null;
  #pending = false;

  constructor(deps: { readonly hints: Hints; readonly clock: Clock }, executionId: ExecutionId) {
    this.#clock = deps.clock;
    const tell = (): void => {
      this.#pending = true;
      this.#wake?.abort();
    };
    this.#unlisten = [
      deps.hints.on("output", (hint) => hint.piece.key.executionId === executionId && tell()),
      deps.hints.on("ended", (hint) => hint.executionId === executionId && tell()),
    ];
  }

  /** Resolves at the news, at those since the last wait at once, or after the time, or when the signal aborts. */
  async wait(maxMs: number, signal: AbortSignal): Promise<void> {
    if (!this.#pending) {
      this.#wake = new AbortController();
      await this.#clock.sleep(maxMs, AbortSignal.any([signal, this.#wake.signal]));
    }
    this.#pending = false;
  }

  stop(): void {
    for (const unlisten of this.#unlisten) unlisten();
  }
}
