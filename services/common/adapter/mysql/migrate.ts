import type { DataSource } from "typeorm";
import { StoreUnavailable } from "../../port/store.ts";
import { copyOriginals, moveOriginalsAside } from "../sql/migration/adopt-original.ts";
import { MIGRATIONS_TABLE, pendingMigrations } from "../sql/migration/migrations.ts";
import { KEPT_TABLES } from "../sql/migration/original-tables.ts";
import type { SqlDatabase } from "../sql/session.ts";
import type { OpenedDatabase } from "../sql/sql-store.ts";
import { databaseOf, dataSourceOptions, migrationLockName, type ServerKind } from "./connection.ts";
import { mysqlFault } from "./fault.ts";

/** Another process that migrates is waited for so long. */
const LOCK_TIMEOUT_S = 60;

/** How a database of the system before jobmesh is adopted. */
export type Adoption = {
  /** Zone of its times and cron expressions, by its IANA name. */
  readonly timeZone: string;
  /** Opens the database as the store does; called only where there is something to adopt. */
  open(server: ServerKind): Promise<OpenedDatabase>;
};

/**
 * Connects, finds out the server's kind, and brings the schema up to the
 * newest under a lock of the server, so that processes that start together
 * migrate once. Throws StoreTooNew, StoreUnavailable, and BACKEND_UNSUITABLE
 * for tables that are neither ours nor the original's.
 */
export async function migrateMysql(url: string, adoption: Adoption): Promise<ServerKind> {
  const { DataSource } = await import("typeorm");
  // One connection: GET_LOCK belongs to the connection that took it. Without the limits of the pool's statements.
  const source = new DataSource({ ...dataSourceOptions(url, 1, "mariadb") });
  try {
    await source.initialize();
  } catch (error) {
    throw mysqlFault(error);
  }
  try {
    const server = serverKind(await textOf(source, "SELECT VERSION() AS value"));
    await underLock(source, databaseOf(url), () => migrate(source, { ...adoption, server }));
    return server;
  } finally {
    await source.destroy();
  }
}

async function underLock(source: DataSource, database: string, body: () => Promise<void>): Promise<void> {
  const name = migrationLockName(database);
  const taken = await textOf(source, `SELECT GET_LOCK('${name}', ${LOCK_TIMEOUT_S}) AS value`);
  if (taken !== "1") throw new StoreUnavailable(`another process migrates the store for more than ${LOCK_TIMEOUT_S} s`);
  try {
    await body();
  } finally {
    await textOf(source, `SELECT RELEASE_LOCK('${name}') AS value`);
  }
}

async function migrate(source: DataSource, adoption: Adoption & { readonly server: ServerKind }): Promise<void> {
  const names = await tableNames(source);
  const rows: { name: string }[] = names.includes(MIGRATIONS_TABLE)
    ? await source.query(`SELECT name FROM ${MIGRATIONS_TABLE}`)
    : [];
  const pending = pendingMigrations(rows.map(({ name }) => name));
  if (rows.length === 0 && names.some((name) => name !== MIGRATIONS_TABLE)) await adopt(adoption, moveOriginalsAside);
  // DDL commits by itself on MySQL: a transaction around it would only seem to be one.
  if (pending.length > 0) await source.runMigrations({ transaction: "none" });
  const kept = rows.length === 0 ? await tableNames(source) : names;
  if (KEPT_TABLES.some((name) => kept.includes(name))) {
    await adopt(adoption, (database) => copyOriginals(database, adoption.timeZone));
  }
}

async function adopt(
  { open, server }: Adoption & { readonly server: ServerKind },
  step: (database: SqlDatabase) => Promise<void>,
): Promise<void> {
  const { database, close } = await open(server);
  try {
    await step(database);
  } finally {
    await close();
  }
}

/** All tables of the database. */
async function tableNames(source: DataSource): Promise<readonly string[]> {
  const rows: { name: string }[] = await source.query(
    "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE()",
  );
  return rows.map(({ name }) => name);
}

async function textOf(source: DataSource, sql: string): Promise<string> {
  const [row]: { value: unknown }[] = await source.query(sql);
  return String(row?.value);
}

/** Throws when the server is older than what we need: SKIP LOCKED, and ON DUPLICATE KEY as we use it. */
function serverKind(version: string): ServerKind {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const server: ServerKind = /mariadb/i.test(version) ? "mariadb" : "mysql";
  const recent = server === "mariadb" ? major > 10 || (major === 10 && minor >= 6) : major >= 8;
  if (!recent) throw new Error(`the store is ${server} ${version}; MariaDB 10.6 or MySQL 8 is needed`);
  return server;
}
