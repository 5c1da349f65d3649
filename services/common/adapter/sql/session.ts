import type { Dialect } from "./dialect.ts";

/** A value that a parameter takes. Times and counts are numbers, routes bigint, exact bytes Uint8Array. */
export type SqlValue = string | number | bigint | Uint8Array | null;

/** A row as the engine gave it. Read it by the column readers of `row-reader.ts`: engines differ in how they give numbers. */
export type Row = Readonly<Record<string, unknown>>;

/** SqlSession is one transaction, or one read. Statements run one after the other; never two at once. */
export interface SqlSession {
  readonly dialect: Dialect;
  /** Runs a SELECT. 63-bit values must be read as text: `CAST(route_id AS CHAR) AS route_id`. */
  query(sql: string, params?: readonly SqlValue[]): Promise<readonly Row[]>;
  /** Runs a change and answers how many rows it matched, changed or not, on both engines. */
  execute(sql: string, params?: readonly SqlValue[]): Promise<number>;
  /** Runs a change once for each list of parameters; the sum of what it matched. The quick way on SQLite, one round trip a row on MySQL. */
  executeEach(sql: string, paramLists: readonly (readonly SqlValue[])[]): Promise<number>;
  /** As `query`, which also gives the store's clock to this transaction: one round trip for both. */
  queryWithNow(sql: string, params?: readonly SqlValue[]): Promise<readonly Row[]>;
  /** The store's clock in microseconds, read once in a transaction and the same until its end. */
  nowUs(): Promise<number>;
}

/** SqlDatabase runs transactions on one engine. */
export interface SqlDatabase {
  readonly dialect: Dialect;
  /**
   * Rule 1: one transaction, READ COMMITTED on MySQL, the only writer on
   * SQLite. It commits when `body` resolves and rolls back when it throws. A
   * deadlock, a lock wait that ran out and a busy file run `body` again from
   * the start, at most MAX_RUNS times; so `body` must change nothing outside
   * the session. A lost connection throws StoreUnavailable; one that was lost
   * during COMMIT throws CommitUnknown, as the change may stand.
   *
   * @param name kind of transaction, for metrics and tests: a constant.
   */
  transact<T>(name: string, body: (session: SqlSession) => Promise<T>): Promise<T>;
  /**
   * The same for a body that reads without locks and then makes one change,
   * which is its own transaction: without BEGIN and COMMIT, each of which is a
   * round trip. A connection that was lost in the change throws CommitUnknown.
   */
  transactOne<T>(name: string, body: (session: SqlSession) => Promise<T>): Promise<T>;
  /** Reads outside a transaction of ours: each SELECT sees what is committed; on SQLite all see one state. */
  read<T>(name: string, body: (session: SqlSession) => Promise<T>): Promise<T>;
}

/** A transaction runs at most this often when it keeps losing to others. */
export const MAX_RUNS = 10;

/** Called before each statement with the name of the transaction or read and the SQL; BEGIN, COMMIT and ROLLBACK too. For tests. */
export type StatementHook = (name: string, sql: string) => void | Promise<void>;
