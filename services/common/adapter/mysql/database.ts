import type { PoolConnection } from "mysql2";
import type { DataSource } from "typeorm";
import { assert } from "../../domain/assert.ts";
import type { Clock } from "../../port/clock.ts";
import type { Random } from "../../port/random.ts";
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
import { CommitUnknown } from "../sql/store-fault.ts";
import { runStatement, type ServerKind, sessionSettings } from "./connection.ts";
import { mysqlDialect } from "./dialect.ts";
import { ConnectionGone, LostToAnother, mysqlFault } from "./fault.ts";

/** Whoever waits so long for a connection of the pool is told that the store is away. */
const ACQUIRE_TIMEOUT_MS = 2_000;
/** A transaction that lost waits up to so long, times the runs it had, before it runs again. */
const AGAIN_STEP_MS = 5;

/**
 * A transaction that has been open for longer is not committed. With what the
 * server gives it after its last statement (connection.ts) it ends within 15 s,
 * and so before the feed looks at its time for the last time (rule 34).
 */
const MAX_TRANSACTION_MS = 10_000;

/** What a MysqlDatabase works with. */
export type MysqlDatabaseDeps = {
  /** Initialized; its pool is used, without the ORM around it: hot paths are multi-row SQL. */
  readonly source: DataSource;
  readonly server: ServerKind;
  readonly clock: Clock;
  readonly random: Random;
  /** For tests. */
  readonly onStatement?: StatementHook | undefined;
  readonly onRerun?: ((name: string) => void) | undefined;
};

/**
 * Transactions on MySQL and MariaDB, over the pool of TypeORM's DataSource.
 * Rule 1: READ COMMITTED, and a transaction that lost to another one
 * (deadlock, lock wait) runs again as a whole.
 */
export class MysqlDatabase implements SqlDatabase {
  readonly dialect: Dialect = mysqlDialect;
  readonly #deps: MysqlDatabaseDeps;
  readonly #prepared = new WeakSet<PoolConnection>();

  constructor(deps: MysqlDatabaseDeps) {
    this.#deps = deps;
  }

  transact<T>(name: string, body: (session: SqlSession) => Promise<T>): Promise<T> {
    return this.#untilItWins(name, () => this.#run(name, body));
  }

  transactOne<T>(name: string, body: (session: SqlSession) => Promise<T>): Promise<T> {
    return this.#untilItWins(name, () => this.#runOne(name, body));
  }

  async #untilItWins<T>(name: string, once: () => Promise<T>): Promise<T> {
    for (let run = 1; ; run++) {
      try {
        return await once();
      } catch (error) {
        const again = error instanceof LostToAnother || error instanceof StaleConnection;
        if (!again || run === MAX_RUNS) throw error;
        this.#deps.onRerun?.(name);
        if (run > 1) await this.#deps.clock.sleep(this.#deps.random.unit() * AGAIN_STEP_MS * run);
      }
    }
  }

  async read<T>(name: string, body: (session: SqlSession) => Promise<T>): Promise<T> {
    const connection = await this.#acquire();
    const session = new MysqlSession(connection, name, this.#deps);
    try {
      return await body(session);
    } finally {
      this.#giveBack(connection, session);
    }
  }

  async #run<T>(name: string, body: (session: SqlSession) => Promise<T>): Promise<T> {
    const connection = await this.#acquire();
    const session = new MysqlSession(connection, name, this.#deps);
    try {
      const startMs = this.#deps.clock.monotonicMs();
      await this.#begin(session);
      const result = await body(session);
      await this.#commit(session, startMs);
      return result;
    } catch (error) {
      await rollback(session);
      throw error;
    } finally {
      this.#giveBack(connection, session);
    }
  }

  async #runOne<T>(name: string, body: (session: SqlSession) => Promise<T>): Promise<T> {
    const connection = await this.#acquire();
    const session = new MysqlSession(connection, name, this.#deps);
    try {
      return await body(session);
    } catch (error) {
      if (!(error instanceof ConnectionGone)) throw error;
      if (session.changes > 0) throw new CommitUnknown("the connection was lost in a change", { cause: error });
      throw new StaleConnection(error.message, { cause: error });
    } finally {
      this.#giveBack(connection, session);
    }
  }

  /** A connection that the server closed while it lay in the pool is noticed here, when nothing has happened yet. */
  async #begin(session: MysqlSession): Promise<void> {
    try {
      await session.control("START TRANSACTION");
    } catch (error) {
      if (error instanceof ConnectionGone) throw new StaleConnection(error.message, { cause: error });
      throw error;
    }
  }

  async #commit(session: MysqlSession, startMs: number): Promise<void> {
    // A body may have swallowed what undid its transaction.
    if (session.fault !== undefined) throw session.fault;
    if (this.#deps.clock.monotonicMs() - startMs > MAX_TRANSACTION_MS) {
      throw new StoreUnavailable(`a transaction was not done within ${MAX_TRANSACTION_MS} ms`);
    }
    try {
      await session.control("COMMIT");
    } catch (error) {
      if (error instanceof ConnectionGone)
        throw new CommitUnknown("the connection was lost in COMMIT", { cause: error });
      throw error;
    }
  }

  #giveBack(connection: PoolConnection, session: MysqlSession): void {
    session.end();
    if (session.fault instanceof ConnectionGone) connection.destroy();
    else connection.release();
  }

  async #acquire(): Promise<PoolConnection> {
    const connection = await this.#fromPool();
    if (this.#prepared.has(connection)) return connection;
    try {
      for (const setting of sessionSettings(this.#deps.server))
        await runStatement(connection, this.#deps.clock, setting, []);
    } catch (error) {
      connection.destroy();
      throw error;
    }
    this.#prepared.add(connection);
    return connection;
  }

  #fromPool(): Promise<PoolConnection> {
    const { driver } = this.#deps.source;
    assert(
      "obtainMasterConnection" in driver && typeof driver.obtainMasterConnection === "function",
      "no MySQL driver",
    );
    const obtained = driver.obtainMasterConnection() as Promise<PoolConnection>;
    return new Promise((resolve, reject) => {
      let late = false;
      const timer = this.#deps.clock.setTimer(ACQUIRE_TIMEOUT_MS, () => {
        late = true;
        reject(new StoreUnavailable(`no connection to the store within ${ACQUIRE_TIMEOUT_MS} ms`));
      });
      obtained.then(
        (connection) => {
          timer.cancel();
          if (late) connection.release();
          else resolve(connection);
        },
        (error: unknown) => {
          timer.cancel();
          const fault = mysqlFault(error);
          reject(fault instanceof StoreUnavailable ? fault : new StoreUnavailable(messageOf(error), { cause: error }));
        },
      );
    });
  }
}

/** The store's clock. */
const NOW_US = "CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)";

/** The pool's connection had died before the transaction began. */
class StaleConnection extends ConnectionGone {}

class MysqlSession implements SqlSession {
  readonly dialect = mysqlDialect;
  readonly #connection: PoolConnection;
  readonly #name: string;
  readonly #deps: MysqlDatabaseDeps;
  #nowUs: number | undefined;
  #ended = false;
  /** Set when the transaction cannot commit any more, whatever its body makes of it. */
  fault: StoreUnavailable | undefined;
  /** Changes that were begun. */
  changes = 0;

  constructor(connection: PoolConnection, name: string, deps: MysqlDatabaseDeps) {
    this.#connection = connection;
    this.#name = name;
    this.#deps = deps;
  }

  async query(sql: string, params: readonly SqlValue[] = []): Promise<readonly Row[]> {
    const rows = await this.#statement(sql, params);
    assert(Array.isArray(rows), "not a SELECT");
    return rows as Row[];
  }

  async execute(sql: string, params: readonly SqlValue[] = []): Promise<number> {
    this.changes += 1;
    const result = await this.#statement(sql, params);
    assert(typeof result === "object" && result !== null && "affectedRows" in result, "not a change");
    return Number(result.affectedRows);
  }

  async executeEach(sql: string, paramLists: readonly (readonly SqlValue[])[]): Promise<number> {
    let matched = 0;
    for (const params of paramLists) matched += await this.execute(sql, params);
    return matched;
  }

  /** START TRANSACTION, COMMIT or ROLLBACK. */
  async control(sql: string): Promise<void> {
    await this.#statement(sql, []);
  }

  async nowUs(): Promise<number> {
    if (this.#nowUs !== undefined) return this.#nowUs;
    const [row] = await this.query(`SELECT ${NOW_US} AS now_us`);
    this.#nowUs = Number(row?.now_us);
    return this.#nowUs;
  }

  /** The clock is a row of its own, joined to each row of the query, and there when it has none. */
  async queryWithNow(sql: string, params: readonly SqlValue[] = []): Promise<readonly Row[]> {
    if (this.#nowUs !== undefined) return await this.query(sql, params);
    const clock = `SELECT ${NOW_US} AS now_us`;
    const joined = `SELECT * FROM (${clock}) AS c LEFT JOIN (SELECT q.*, 1 AS has_row FROM (${sql}) AS q) AS r ON TRUE`;
    const rows = await this.query(joined, params);
    this.#nowUs = Number(rows[0]?.now_us);
    return rows.filter((row) => row.has_row !== null);
  }

  end(): void {
    this.#ended = true;
  }

  async #statement(sql: string, params: readonly SqlValue[]): Promise<unknown> {
    if (this.#deps.onStatement !== undefined) await this.#deps.onStatement(this.#name, sql);
    assert(!this.#ended, "a statement after the end of its transaction");
    try {
      return await runStatement(this.#connection, this.#deps.clock, sql, params);
    } catch (error) {
      if (error instanceof StoreUnavailable) this.fault = error;
      throw error;
    }
  }
}

/** Undoes what can be undone; a connection that cannot is destroyed by its fault. */
async function rollback(session: MysqlSession): Promise<void> {
  if (session.fault instanceof ConnectionGone) return;
  try {
    await session.control("ROLLBACK");
  } catch (error) {
    session.fault ??= new ConnectionGone("ROLLBACK failed", { cause: error });
    if (!(session.fault instanceof ConnectionGone))
      session.fault = new ConnectionGone("ROLLBACK failed", { cause: error });
  }
}

function messageOf(error: unknown): string {
  return `the store cannot be reached: ${error instanceof Error ? error.message : String(error)}`;
}
