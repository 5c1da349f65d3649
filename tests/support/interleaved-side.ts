/** One of two connections whose statements a test puts in order: each waits before each statement until it is let go. */
import type { SqlDatabase, SqlSession } from "../../services/common/adapter/sql/session.ts";
import { type StatementEffect, StatementReader } from "./interleaved-statement.ts";
import type { TestDatabase } from "./store.ts";

/** Asked at the beginning of each transaction, and not put in order. */
const WHO = "SELECT CONNECTION_ID() AS id";

/** A connection of its own, whose statements wait while it is held. */
export class InterleavedSide {
  /** The server's number of the connection that the current transaction has; null before the first one. */
  thread: number | null = null;
  /** Transactions that lost to the other side and ran again. */
  reruns = 0;
  /** Whose statements are held; null while none are. */
  #reader: StatementReader | null = null;
  #parked: { readonly effect: StatementEffect; readonly go: () => void } | null = null;
  #isDone = true;
  #database: SqlDatabase | null = null;
  #opened: TestDatabase | null = null;

  /** Opens the database once more, for this side alone. */
  static async open(beside: TestDatabase): Promise<InterleavedSide> {
    const side = new InterleavedSide();
    side.#opened = await beside.again({
      onStatement: (_name, sql) => side.#hold(sql),
      onRerun: () => {
        side.reruns += 1;
      },
    });
    side.#database = side.#telling(side.#opened.database);
    return side;
  }

  /** What the store's parts are made on. */
  get database(): SqlDatabase {
    if (this.#database === null) throw new Error("the side is not open");
    return this.#database;
  }

  /** What it would do next; null while a statement of it runs, or waits for a lock, and once it is done. */
  get next(): StatementEffect | null {
    return this.#parked?.effect ?? null;
  }

  /** True while a statement of it runs or waits for a lock. */
  get isMoving(): boolean {
    return !this.#isDone && this.#parked === null;
  }

  /** Begins to do something, and waits before its first statement. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    this.#reader = new StatementReader();
    this.#isDone = false;
    this.reruns = 0;
    try {
      return await work();
    } finally {
      this.#isDone = true;
      this.#reader = null;
    }
  }

  /** Lets the next statement go. */
  go(): void {
    const parked = this.#parked;
    if (parked === null) throw new Error("no statement waits");
    this.#parked = null;
    parked.go();
  }

  close(): Promise<void> {
    return this.#opened?.close() ?? Promise.resolve();
  }

  #hold(sql: string): Promise<void> | void {
    if (this.#reader === null || sql === WHO) return;
    const effect = this.#reader.read(sql);
    return new Promise((go) => {
      this.#parked = { effect, go };
    });
  }

  #telling(database: SqlDatabase): SqlDatabase {
    const first =
      <T>(body: (session: SqlSession) => Promise<T>) =>
      async (session: SqlSession): Promise<T> => {
        const [row] = await session.query(WHO);
        this.thread = Number(row?.id);
        return await body(session);
      };
    return {
      dialect: database.dialect,
      transact: (name, body) => database.transact(name, first(body)),
      transactOne: (name, body) => database.transactOne(name, first(body)),
      read: (name, body) => database.read(name, first(body)),
    };
  }
}
