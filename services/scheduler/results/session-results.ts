import type { AttemptResult } from "../../common/domain/attempt.ts";
import { JobmeshError } from "../../common/error/jobmesh-error.ts";
import { type Store, StoreUnavailable } from "../../common/port/store.ts";
import type { Hints } from "../hints.ts";
import { batchLength, resultBytes, unstorable } from "./batch-bounds.ts";
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

/** Bytes of results that wait; more are refused. */
const MAX_QUEUED_BYTES = 64 * 1024 * 1024;

/**
 * Stores results that came by sessions: one transaction under way, the next
 * batch collecting meanwhile. A result counts when it is stored (rule 15).
 * What the store refuses is refused alone (rule 4): others that came with it
 * are stored.
 */
export class SessionResults implements ResultSink {
  readonly #deps: { store: Store; hints: Hints; spans: ResultSpans };
  readonly #config: SessionResultsConfig;
  #queue: Waiting[] = [];
  #queuedBytes = 0;
  #storing: Promise<void> | null = null;

  constructor(deps: { store: Store; hints: Hints; spans: ResultSpans }, config: SessionResultsConfig) {
    this.#deps = deps;
    this.#config = config;
  }

  store(result: AttemptResult): Promise<void> {
    const bytes = resultBytes(result);
    const isFull = this.#queue.length > 0 && this.#queuedBytes + bytes > MAX_QUEUED_BYTES;
    if (isFull || this.#queue.length >= this.#config.maxQueued) {
      return Promise.reject(new JobmeshError("OVERLOADED", { message: "too many results wait to be stored" }));
    }
    return new Promise((resolve, reject) => {
      this.#queue.push({ result, resolve, reject });
      this.#queuedBytes += bytes;
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
      const length = batchLength(this.#queue, this.#config.maxBatchRows, ({ result }) => resultBytes(result));
      const batch = this.#queue.slice(0, length);
      this.#queue = this.#queue.slice(length);
      for (const { result } of batch) this.#queuedBytes -= resultBytes(result);
      await this.#storeBatch(batch);
    }
    this.#storing = null;
  }

  async #storeBatch(batch: readonly Waiting[]): Promise<void> {
    try {
      await this.#tryResults(batch.map(({ result }) => result));
      for (const { resolve } of batch) resolve();
    } catch (error) {
      const [only] = batch;
      if (error instanceof StoreUnavailable || only === undefined) {
        for (const { reject } of batch) reject(error);
      } else if (batch.length === 1) {
        await this.#tryResults([unstorable(only.result)]).then(only.resolve, only.reject);
      } else {
        const middle = batch.length >> 1;
        await this.#storeBatch(batch.slice(0, middle));
        await this.#storeBatch(batch.slice(middle));
      }
    }
  }

  async #tryResults(results: readonly AttemptResult[]): Promise<void> {
    const spans = this.#deps.spans.start(results);
    try {
      const outcome = await this.#deps.store.executions.storeResults(results, null);
      spans.end(null);
      if (outcome.kind === "stored") tellOutcomes(this.#deps.hints, outcome.results);
    } catch (error) {
      spans.end(error);
      throw error;
    }
  }
}
