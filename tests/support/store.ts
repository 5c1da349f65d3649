/**
 * Stores for the contract suite: SQLite in a file and in memory always, MySQL when JOBMESH_TEST_MYSQL names a server.
 * `storeBackends` gives one entry for each, so that a suite is registered once for each adapter.
 */
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { openSqlDatabase } from "../../services/common/adapter/open-store.ts";
import type { SqlDatabase, SqlSession, StatementHook } from "../../services/common/adapter/sql/session.ts";
import { type OpenedDatabase, SqlStore } from "../../services/common/adapter/sql/sql-store.ts";
import type { Clock } from "../../services/common/port/clock.ts";
import type { Store } from "../../services/common/port/store.ts";
import { SystemClock } from "../../services/common/runtime/system-clock.ts";
import { SystemRandom } from "../../services/common/runtime/system-random.ts";

/** An empty, migrated database of one test. */
export type TestDatabase = {
  readonly kind: "mysql" | "sqlite";
  /** As JOBMESH_STORE would have it. */
  readonly url: string;
  readonly database: SqlDatabase;
  /** The store on it, started. */
  readonly store: Store;
  /** One transaction outside the store, to look or to set up. */
  sql<T>(body: (session: SqlSession) => Promise<T>): Promise<T>;
  /** Opens it once more, as another process would; MySQL only. */
  again(options?: TestOptions): Promise<TestDatabase>;
  /** Closes it; the data stays. */
  stop(): Promise<void>;
  /** Closes it and removes its data. */
  close(): Promise<void>;
};

/** How a test's database is opened. */
export type TestOptions = {
  /** Called before each statement: to fail it, or to let something else come between. */
  readonly onStatement?: StatementHook;
  /** Called when a transaction lost to another and runs again. */
  readonly onRerun?: (name: string) => void;
  readonly clock?: Clock;
};

/** An adapter under test. */
export type StoreBackend = {
  readonly name: string;
  readonly kind: "mysql" | "sqlite";
  /** Makes an empty database with the newest schema. */
  open(options?: TestOptions): Promise<TestDatabase>;
};

const sqliteFile: StoreBackend = {
  name: "sqlite file",
  kind: "sqlite",
  async open(options = {}) {
    const folder = await mkdtemp(join(tmpdir(), "jobmesh-store-"));
    return await opened(`sqlite:${join(folder, "store.db")}`, options, () =>
      rm(folder, { recursive: true, force: true }),
    );
  },
};

const sqliteMemory: StoreBackend = {
  name: "sqlite memory",
  kind: "sqlite",
  open: (options = {}) => opened("sqlite::memory:", options, async () => {}),
};

const mysqlServer = process.env.JOBMESH_TEST_MYSQL ?? "";

const mysql: StoreBackend = {
  name: "mysql",
  kind: "mysql",
  async open(options = {}) {
    const url = new URL(mysqlServer);
    const name = `jobmesh_test_${randomBytes(6).toString("hex")}`;
    await onServer(`CREATE DATABASE ${name} CHARACTER SET utf8mb4`);
    url.pathname = `/${name}`;
    return await opened(url.toString(), options, () => onServer(`DROP DATABASE ${name}`));
  },
};

/** All adapters that can be had here. */
export const storeBackends: readonly StoreBackend[] = [
  sqliteFile,
  sqliteMemory,
  ...(mysqlServer === "" ? [] : [mysql]),
];

/** Opens and migrates the database at a URL; `drop` removes its data when it is closed. */
export async function opened(url: string, options: TestOptions, drop: () => Promise<void>): Promise<TestDatabase> {
  const clock = options.clock ?? new SystemClock();
  const random = new SystemRandom();
  let handle: OpenedDatabase;
  try {
    handle = await openSqlDatabase(url, { ...options, clock, random });
  } catch (error) {
    await drop();
    throw error;
  }
  const { database } = handle;
  const { kind } = database.dialect;
  const store = new SqlStore({ kind, clock, random, open: async () => handle });
  await store.start();
  const stop = async (): Promise<void> => {
    await store.stop();
    await handle.close();
  };
  return {
    kind,
    url,
    database,
    store,
    sql: (body) => database.transact("test", body),
    again: (more = {}) => opened(url, more, async () => {}),
    stop,
    async close() {
      await stop();
      await drop();
    },
  };
}

async function onServer(statement: string): Promise<void> {
  const { createConnection } = await import("mysql2/promise");
  const connection = await createConnection(mysqlServer);
  try {
    await connection.query(statement);
  } finally {
    connection.destroy();
  }
}

const shared = new Map<StoreBackend, Promise<TestDatabase>>();

/** A test on each adapter. All tests of a file share one database of each: they keep apart by their names. */
export function storeTest(name: string, body: (test: TestDatabase) => Promise<void>): void {
  for (const backend of storeBackends) {
    test(`${name} (${backend.name})`, async () => {
      const open = shared.get(backend) ?? backend.open();
      shared.set(backend, open);
      await body(await open);
    });
  }
}

after(async () => {
  for (const open of shared.values()) await (await open).close();
});
