import type { AttemptResult } from "../../common/domain/attempt.ts";

/** Where results of sessions go: many together in one transaction. */
export interface ResultSink {
  /**
   * Resolves when the store has judged the result (applied it, or found that
   * its key is not current). Rejects with StoreUnavailable; the executor then
   * keeps the result and sends it again.
   */
  store(result: AttemptResult): Promise<void>;
}
