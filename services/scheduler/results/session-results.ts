import type { AttemptResult } from "../../common/domain/attempt.ts";
import { JobmeshError } from "../../common/error/jobmesh-error.ts";
import type { Store } from "../../common/port/store.ts";
import type { Hints } from "../hints.ts";
import { tellOutcomes } from "./result-effects.ts";
import type { ResultSink } from "./result-sink.ts";
import type { ResultSpans } from "./result-spans.ts";

/** Limits of the queue of results that came by sessions. */
export type SessionResultsConfig = {
  /** Results stored in one transaction. */
  readonly maxBatchRows: number;
  /** Results that wait; more are refused, and their executors keep them. */
  readonly maxQueued: number;
};

type Waiting = {
  readonly result: AttemptResult;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
};

/**
 * Stores results that came by sessions: one transaction under way, the next
 * batch collecting meanwhile. A result counts when it is stored (rule 15).
 */
export class SessionResults implements ResultSink {
  readonly #deps: { store: Store; hints: Hints; spans: ResultSpans };
  readonly #config: SessionResultsConfig;
  #queue: Waiting[] = [];
  #storing: Promise<void> | null = null;

  constructor(deps: { store: Store; hints: Hints; spans: ResultSpans }, config: SessionResultsConfig) {
    this.#deps = deps;
    this.#config = config;
  }

  store(result: AttemptResult): Promise<void> {
    if (this.#queue.length >= this.#config.maxQueued) {
      return Promise.reject(new JobmeshError("OVERLOADED", { message: "too many results wait to be stored" }));
    }
    return new Promise((resolve, reject) => {
      this.#queue.push({ result, resolve, reject });
      this.#storing ??= this.#drain();
    });
  }

  /** Resolves when all that was given has been judged. */
  async stop(): Promise<void> {
    await this.#storing;
  }

  async #drain(): Promise<void> {
    // What arrives in this turn of the event loop goes together.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      const batch = this.#queue.slice(0, this.#config.maxBatchRows);
      this.#queue = this.#queue.slice(batch.length);
      await this.#storeBatch(batch);
    }
    this.#storing = null;
  }

  async #storeBatch(batch: readonly Waiting[]): Promise<void> {
    const results = batch.map(({ result }) => result);
    const spans = this.#deps.spans.start(results);
    try {
      const outcome = await this.#deps.store.executions.storeResults(results, null);
      if (outcome.kind === "stored") tellOutcomes(this.#deps.hints, outcome.results);
      spans.end(null);
      for (const { resolve } of batch) resolve();
    } catch (error) {
      spans.end(error);
      for (const { reject } of batch) reject(error);
    }
  }
}
