import type { Execution } from "../../common/domain/execution.ts";
import { parametersSize } from "../../common/domain/parameter.ts";
import type { EndedPlace } from "../../common/port/store-retention.ts";

/** A change of an execution, as all watchers of a scheduler are told it; or only how far the feed has come. */
export type Change = {
  /** Counts the changes of a reading, from 1. */
  readonly number: number;
  /** Without its target's bytes and its result; null where nothing has changed. */
  readonly execution: Execution | null;
  /** Whoever has been told this change and those before it resumes here. */
  readonly place: EndedPlace;
};

/** Bounds of what is held for watchers, however many there are. */
export type ChangeLimits = {
  /** Changes held; default 10,000. */
  readonly maxChanges: number;
  /** About so many bytes of them; default 32 MiB. */
  readonly maxBytes: number;
};

const DEFAULT_LIMITS: ChangeLimits = { maxChanges: 10_000, maxBytes: 32 * 1024 * 1024 };
/** Memory of an execution's columns of bounded length. */
const ROW_BYTES = 2_048;

/**
 * The latest changes, held once for all watchers: each reads them at its own
 * pace, and one that is too slow for what is held reads the store instead.
 */
export class RecentChanges {
  readonly #limits: ChangeLimits;
  readonly #changes = new Map<number, Change>();
  readonly #waiters = new Set<() => void>();
  #first = 1;
  #last = 0;
  #bytes = 0;

  constructor(limits: Partial<ChangeLimits> = {}) {
    this.#limits = { ...DEFAULT_LIMITS, ...limits };
  }

  /** Number of the latest change; 0 before the first. */
  get last(): number {
    return this.#last;
  }

  /** Adds a change; null for a place alone. */
  push(execution: Execution | null, place: EndedPlace): void {
    this.#last += 1;
    this.#changes.set(this.#last, { number: this.#last, execution, place });
    this.#bytes += bytesOf(execution);
    while (this.#changes.size > this.#limits.maxChanges || this.#bytes > this.#limits.maxBytes) this.#drop();
    this.#wake();
  }

  /** Something may be missing after what was pushed so far: whoever has read only that reads the store instead. */
  cut(): void {
    this.#last += 1;
    while (this.#first <= this.#last) this.#drop();
    this.#wake();
  }

  /** Up to `limit` changes after this one; null when some of them are not held any more. */
  after(number: number, limit: number): readonly Change[] | null {
    if (number + 1 < this.#first) return null;
    const found: Change[] = [];
    for (let next = number + 1; next <= this.#last && found.length < limit; next++) {
      const change = this.#changes.get(next);
      if (change !== undefined) found.push(change);
    }
    return found;
  }

  /** Resolves when there is a change after this one, or the signal aborts. */
  wait(number: number, signal: AbortSignal): Promise<void> {
    if (this.#last > number || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        this.#waiters.delete(done);
        signal.removeEventListener("abort", done);
        resolve();
      };
      this.#waiters.add(done);
      signal.addEventListener("abort", done, { once: true });
    });
  }

  #wake(): void {
    for (const wake of [...this.#waiters]) wake();
  }

  #drop(): void {
    const change = this.#changes.get(this.#first);
    if (change !== undefined) this.#bytes -= bytesOf(change.execution);
    this.#changes.delete(this.#first);
    this.#first += 1;
  }
}

function bytesOf(execution: Execution | null): number {
  if (execution === null) return ROW_BYTES;
  const { failure, labels, parameters } = execution;
  let bytes = ROW_BYTES + 2 * ((failure?.message.length ?? 0) + parametersSize(parameters));
  for (const [key, value] of Object.entries(labels)) bytes += 2 * (key.length + value.length);
  return bytes;
}
