import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { PoolConnection } from "mysql2";
import type { DataSourceOptions } from "typeorm";
import type { Clock } from "../../port/clock.ts";
import { entities } from "../sql/entity/entities.ts";
import { MIGRATIONS_TABLE, migrations } from "../sql/migration/migrations.ts";
import type { SqlValue } from "../sql/session.ts";
import { ConnectionGone, mysqlFault } from "./fault.ts";

/** A server that does not answer a connect for so long is away. */
const CONNECT_TIMEOUT_MS = 1_500;
/** The server's limit of one statement. */
const STATEMENT_LIMIT_S = 5;
/** The server drops a connection that is idle for so long inside a transaction (rule 34). */
const IDLE_IN_TRANSACTION_S = 5;
/** Nobody waits longer for a row that another transaction holds; then the transaction runs again. */
const LOCK_WAIT_S = 3;
/** We give a statement up a little after the server should have. */
const STATEMENT_TIMEOUT_MS = STATEMENT_LIMIT_S * 1_000 + 1_500;
/** Connections that wait for one of the pool. */
const MAX_WAITING = 10_000;
/** MySQL 8 can bound an idle transaction only by dropping idle connections; the pool drops them first. */
const MYSQL_POOL_IDLE_MS = 3_000;

/** In place of a file: the certificates that the machine trusts. */
const SYSTEM_ROOTS = "system";

/** The product behind a MySQL URL. */
export type ServerKind = "mariadb" | "mysql";

/** TypeORM's options for a URL; `session` limits are set on each connection by `prepareConnection`. */
export function dataSourceOptions(url: string, poolSize: number, server: ServerKind): DataSourceOptions {
  const parsed = new URL(url);
  return {
    type: server,
    host: parsed.hostname,
    port: parsed.port === "" ? 3306 : Number(parsed.port),
    username: decodeURIComponent(parsed.username),
    password: decodeURIComponent(parsed.password),
    database: databaseOf(url),
    charset: "utf8mb4_bin",
    timezone: "Z",
    dateStrings: true,
    supportBigNumbers: true,
    bigNumberStrings: true,
    connectTimeout: CONNECT_TIMEOUT_MS,
    ...tlsOf(parsed),
    poolSize,
    entities: entities("mysql"),
    migrations,
    migrationsTableName: MIGRATIONS_TABLE,
    extra: {
      queueLimit: MAX_WAITING,
      enableKeepAlive: true,
      ...(server === "mysql" ? { maxIdle: Math.max(poolSize - 1, 1), idleTimeout: MYSQL_POOL_IDLE_MS } : {}),
    },
  };
}

/**
 * TLS where the URL says by which certificates the server is verified, in its
 * parameter ssl-ca: a file, or `system`. The certificate has to carry the
 * host's name: of an address mysql2 would verify the name "localhost", so the
 * settings refuse one.
 */
function tlsOf({ searchParams }: URL): { readonly ssl?: object } {
  const roots = searchParams.get("ssl-ca");
  if (roots === null) return {};
  const ca = roots === SYSTEM_ROOTS ? {} : { ca: readFileSync(roots, "utf8") };
  return { ssl: { ...ca, rejectUnauthorized: true, verifyIdentity: true } };
}

/** Name of the database in a URL. */
export function databaseOf(url: string): string {
  return decodeURIComponent(new URL(url).pathname.slice(1));
}

/** What every connection of the pool is set to once (rules 1, 8, 34). */
export function sessionSettings(server: ServerKind): readonly string[] {
  const limits =
    server === "mariadb"
      ? `max_statement_time = ${STATEMENT_LIMIT_S}, idle_transaction_timeout = ${IDLE_IN_TRANSACTION_S}`
      : `max_execution_time = ${STATEMENT_LIMIT_S * 1_000}, wait_timeout = ${IDLE_IN_TRANSACTION_S}`;
  return [
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION', " +
      `time_zone = '+00:00', innodb_lock_wait_timeout = ${LOCK_WAIT_S}, lock_wait_timeout = ${LOCK_WAIT_S}, ${limits}`,
  ];
}

/** A lock of the server that nobody else uses, at most 64 characters. */
export function migrationLockName(database: string): string {
  return `jobmesh-migrate-${createHash("sha256").update(database).digest("hex").slice(0, 32)}`;
}

/**
 * Runs one statement and answers what mysql2 gives for it; a server that says
 * nothing for longer than it may is gone. Throws the store's errors. The timer
 * is ours: mysql2 keeps its own when the connection breaks.
 */
export function runStatement(
  connection: PoolConnection,
  clock: Clock,
  sql: string,
  params: readonly SqlValue[],
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const timer = clock.setTimer(STATEMENT_TIMEOUT_MS, () =>
      reject(new ConnectionGone(`the store did not answer within ${STATEMENT_TIMEOUT_MS} ms`)),
    );
    try {
      connection.query({ sql, values: [...params] }, (error, result) => {
        timer.cancel();
        if (error) reject(mysqlFault(error));
        else resolve(result);
      });
    } catch (error) {
      timer.cancel();
      reject(error);
    }
  });
}
