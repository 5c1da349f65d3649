import { assert } from "../../domain/assert.ts";
import type { Clock } from "../../port/clock.ts";
import { StoreUnavailable } from "../../port/store.ts";
import type { Dialect } from "../sql/dialect.ts";
import {
  MAX_RUNS,
  type Row,
  type SqlDatabase,
  type SqlSession,
  type SqlValue,
  type StatementHook,
} from "../sql/session.ts";
import { sqliteDialect } from "./dialect.ts";
import { SqliteBusy, sqliteFault } from "./fault.ts";
import type { SqliteHandle, SqliteStatement } from "./handle.ts";

/** At most this many transactions wait for their turn. */
const MAX_WAITING = 100_000;
/** At most this many prepared statements are kept. */
const MAX_STATEMENTS = 500;

const TEXT_OR_PARAMETER = /'[^']*'|\?/g;

/** What a SqliteDatabase works with. */
export type SqliteDatabaseDeps = {
  readonly handle: SqliteHandle;
  /** Mesh time on SQLite: one process, one clock. */
  readonly clock: Clock;
  /** For tests. */
  readonly onStatement?: StatementHook | undefined;
  readonly onRerun?: ((name: string) => void) | undefined;
};

/**
 * Transactions on one SQLite file. There is one connection, and transactions
 * and reads take turns on it, first come first served (rule 1: the turn is the
 * lock). Statements block the process; between them a body that awaits only
 * its session gives way to nothing but promises, so a turn ends in the same
 * round of the event loop in which it began.
 */
export class SqliteDatabase implements SqlDatabase {
  readonly dialect: Dialect = sqliteDialect;
  readonly #deps: SqliteDatabaseDeps;
  readonly #statements = new Map<string, SqliteStatement>();
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #closed = false;

  constructor(deps: SqliteDatabaseDeps) {
    this.#deps = deps;
  }

  transact<T>(name: string, body: (session: SqlSession) => Promise<T>): Promise<T> {
    return this.#inTurn(() => this.#runAgain(name, () => this.#change(name, body)));
  }

  read<T>(name: string, body: (session: SqlSession) => Promise<T>): Promise<T> {
    return this.#inTurn(() => this.#runAgain(name, () => this.#read(name, body)));
  }

  /** One writer, in this process: BEGIN and COMMIT are no round trips. */
  transactOne<T>(name: string, body: (session: SqlSession) => Promise<T>): Promise<T> {
    return this.transact(name, body);
  }

  /** Waits for all turns and closes the file. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#last;
    this.#statements.clear();
    this.#deps.handle.close();
  }

  async #inTurn<T>(turn: () => Promise<T>): Promise<T> {
    if (this.#closed) throw new StoreUnavailable("the store is closed");
    if (this.#waiting >= MAX_WAITING) throw new StoreUnavailable(`${MAX_WAITING} transactions wait for the store`);
    this.#waiting++;
    const result = this.#last.then(turn);
    this.#last = result.then(settled, settled);
    try {
      return await result;
    } finally {
      this.#waiting--;
    }
  }

  async #runAgain<T>(name: string, once: () => Promise<T>): Promise<T> {
    for (let run = 1; ; run++) {
      try {
        return await once();
      } catch (error) {
        if (!(error instanceof SqliteBusy) || run === MAX_RUNS) throw error;
        this.#deps.onRerun?.(name);
      }
    }
  }

  /** All statements of a turn see one state, as the file is this process's alone: without BEGIN and COMMIT. */
  async #read<T>(name: string, body: (session: SqlSession) => Promise<T>): Promise<T> {
    const session = new SqliteSession(this.#deps, name, (sql) => this.#prepare(sql));
    try {
      return await body(session);
    } finally {
      session.end();
    }
  }

  async #change<T>(name: string, body: (session: SqlSession) => Promise<T>): Promise<T> {
    const session = new SqliteSession(this.#deps, name, (sql) => this.#prepare(sql));
    try {
      await session.control("BEGIN IMMEDIATE");
      const result = await body(session);
      await session.control("COMMIT");
      return result;
    } catch (error) {
      await this.#rollback(session);
      throw error;
    } finally {
      session.end();
    }
  }

  async #rollback(session: SqliteSession): Promise<void> {
    // SQLite rolls back by itself on some errors, and a hook may fail the statement.
    try {
      if (this.#deps.handle.inTransaction) await session.control("ROLLBACK");
    } finally {
      if (this.#deps.handle.inTransaction) this.#deps.handle.exec("ROLLBACK");
    }
  }

  #prepare(sql: string): SqliteStatement {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    if (this.#statements.size >= MAX_STATEMENTS) this.#statements.clear();
    const statement = this.#deps.handle.prepare(keepPlan(sql));
    this.#statements.set(sql, statement);
    return statement;
  }
}

/**
 * SQLite looks at the value of a parameter that is a LIMIT, or that an index does not answer, and prepares the statement
 * anew at each run, in case another value would have another plan: a look at an empty table took 14 µs so, and takes
 * 1 µs as an expression.
 */
function keepPlan(sql: string): string {
  return sql.replace(TEXT_OR_PARAMETER, (found) => (found === "?" ? "+?" : found));
}

class SqliteSession implements SqlSession {
  readonly dialect = sqliteDialect;
  readonly #deps: SqliteDatabaseDeps;
  readonly #name: string;
  readonly #prepare: (sql: string) => SqliteStatement;
  #nowUs: number | undefined;
  #ended = false;

  constructor(deps: SqliteDatabaseDeps, name: string, prepare: (sql: string) => SqliteStatement) {
    this.#deps = deps;
    this.#name = name;
    this.#prepare = prepare;
  }

  async query(sql: string, params: readonly SqlValue[] = []): Promise<readonly Row[]> {
    const told = this.#deps.onStatement?.(this.#name, sql);
    if (told !== undefined) await told;
    assert(!this.#ended, "a statement after the end of its transaction");
    try {
      return this.#prepare(sql).all(params);
    } catch (error) {
      throw sqliteFault(error);
    }
  }

  async execute(sql: string, params: readonly SqlValue[] = []): Promise<number> {
    const told = this.#deps.onStatement?.(this.#name, sql);
    if (told !== undefined) await told;
    assert(!this.#ended, "a statement after the end of its transaction");
    try {
      return this.#prepare(sql).run(params).changes;
    } catch (error) {
      throw sqliteFault(error);
    }
  }

  async executeEach(sql: string, paramLists: readonly (readonly SqlValue[])[]): Promise<number> {
    const told = this.#deps.onStatement?.(this.#name, sql);
    if (told !== undefined) await told;
    assert(!this.#ended, "a statement after the end of its transaction");
    try {
      const statement = this.#prepare(sql);
      let matched = 0;
      for (const params of paramLists) matched += statement.run(params).changes;
      return matched;
    } catch (error) {
      throw sqliteFault(error);
    }
  }

  /** BEGIN, COMMIT or ROLLBACK. */
  async control(sql: string): Promise<void> {
    await this.execute(sql);
  }

  queryWithNow(sql: string, params: readonly SqlValue[] = []): Promise<readonly Row[]> {
    return this.query(sql, params);
  }

  async nowUs(): Promise<number> {
    this.#nowUs ??= this.#deps.clock.wallUs();
    return this.#nowUs;
  }

  end(): void {
    this.#ended = true;
  }
}

function settled(): void {}
