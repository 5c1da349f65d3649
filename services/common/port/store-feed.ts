import type { Execution } from "../domain/execution.ts";
import type { ExecutionId } from "../domain/identifier.ts";
import type { EndedPlace } from "./store-retention.ts";

/** What ended after a place, by the index alone. */
export type EndedPage = {
  /** In the order of their ends; those of the same microsecond by their identifiers. */
  readonly places: readonly EndedPlace[];
  /** The store's clock before they were read. */
  readonly nowUs: number;
  /** Up to here something that ended is deleted: whoever stood before it may have missed that. 0 while nothing is. */
  readonly deletedUs: number;
};

/** The feed of ends (rule 34): what has ended, in the order of ended_time, and where readers with a cursor stand. */
export interface FeedStore {
  /**
   * How far behind the store's clock an end may still appear, microseconds: a transaction may commit so much later than
   * the ended_time that it has written. What ended earlier is all there.
   */
  readonly settleUs: number;
  /** Up to `limit` executions that ended after `after` and not after `untilUs`; null for no such bound. By index. */
  ended(after: EndedPlace, untilUs: number | null, limit: number): Promise<EndedPage>;
  /** Executions as they stand now, in the order of `executionIds`; those that are gone are left out. */
  read(executionIds: readonly ExecutionId[], full: boolean): Promise<readonly Execution[]>;
  /** Where the reader of this name stands. One that is new begins now: `settleUs` behind the store's clock. */
  cursor(name: string): Promise<EndedPlace>;
  /** Moves a reader from the place where it stood to another; false when it stands elsewhere by now. */
  moveCursor(name: string, from: EndedPlace, to: EndedPlace): Promise<boolean>;
}
