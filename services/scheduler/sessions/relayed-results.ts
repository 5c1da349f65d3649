import type { AttemptResult } from "../../common/domain/attempt.ts";
import { JobmeshError } from "../../common/error/jobmesh-error.ts";
import type { Clock } from "../../common/port/clock.ts";
import type { ResultSink } from "../results/result-sink.ts";
import { untilStored } from "./until-stored.ts";

/** Results of one session under way to the store: more than an executor keeps. */
export const MAX_RESULTS_UNDER_WAY = 60_000;

/** What a session's results need. */
export type RelayedResultsDeps = {
  readonly sink: ResultSink;
  readonly clock: Clock;
  /** Aborts with the session. */
  readonly signal: AbortSignal;
  /** Tells the executor that all results up to this one are stored. */
  readonly acknowledge: (sequence: number) => void;
  /** A result is in the store. */
  readonly onStored: (result: AttemptResult) => void;
  /** A result cannot be stored: the session ends, the executor keeps it. */
  readonly onFailed: (thrown: unknown) => void;
};

type Pending = { readonly sequence: number; stored: boolean };

/**
 * Results by the session (rule 18): they go to the store together with others
 * and may be stored in any order, but the executor hears of them in order, for
 * ResultStored means all up to a sequence. While the store is away they are
 * tried again here.
 */
export class RelayedResults {
  readonly #deps: RelayedResultsDeps;
  readonly #pending: Pending[] = [];
  #lastSequence = 0;
  #acknowledging = false;

  constructor(deps: RelayedResultsDeps) {
    this.#deps = deps;
  }

  /** Results that are not stored yet. */
  get underWay(): number {
    return this.#pending.length;
  }

  /** Takes a result. Throws PROTOCOL_VIOLATION when its sequence does not rise, OVERLOADED when too many wait. */
  take(sequence: number, result: AttemptResult): void {
    if (sequence <= this.#lastSequence) {
      throw new JobmeshError("PROTOCOL_VIOLATION", { message: "the sequence of a result did not rise" });
    }
    if (this.#pending.length >= MAX_RESULTS_UNDER_WAY) throw new JobmeshError("OVERLOADED");
    this.#lastSequence = sequence;
    const pending: Pending = { sequence, stored: false };
    this.#pending.push(pending);
    const { sink, clock, signal, onFailed } = this.#deps;
    untilStored(clock, signal, () => sink.store(result)).then(
      () => this.#stored(pending, result),
      (thrown: unknown) => {
        if (!signal.aborted) onFailed(thrown);
      },
    );
  }

  #stored(pending: Pending, result: AttemptResult): void {
    pending.stored = true;
    this.#deps.onStored(result);
    if (this.#acknowledging) return;
    this.#acknowledging = true;
    // Results of one transaction come back one after the other: one answer is enough for them.
    queueMicrotask(() => this.#acknowledge());
  }

  #acknowledge(): void {
    this.#acknowledging = false;
    let count = 0;
    while (this.#pending[count]?.stored === true) count += 1;
    const last = this.#pending.splice(0, count).at(-1);
    if (last !== undefined && !this.#deps.signal.aborted) this.#deps.acknowledge(last.sequence);
  }
}
