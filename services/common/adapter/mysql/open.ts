import { DataSource } from "typeorm";
import type { DatabaseDeps, OpenedDatabase } from "../sql/sql-store.ts";
import { dataSourceOptions, type ServerKind } from "./connection.ts";
import { MysqlDatabase } from "./database.ts";
import { mysqlFault } from "./fault.ts";
import { migrateMysql } from "./migrate.ts";

/** Connections of one process; each transaction uses one. */
export const POOL_SIZE = 16;
/** Connections that do not end by then are left to the end of the process. */
const CLOSE_TIMEOUT_MS = 2_000;

/**
 * Connects to a MySQL or MariaDB and migrates it behind a lock. Throws
 * StoreTooNew, StoreUnavailable, and BACKEND_UNSUITABLE for a database that
 * holds what is neither ours nor the original's.
 */
export async function openMysql(url: string, deps: DatabaseDeps): Promise<OpenedDatabase> {
  const server = await migrateMysql(url, {
    timeZone: deps.adoptTimeZone ?? "UTC",
    open: (kind) => openPool(url, kind, 1, deps),
  });
  return await openPool(url, server, POOL_SIZE, deps);
}

async function openPool(
  url: string,
  server: ServerKind,
  poolSize: number,
  deps: DatabaseDeps,
): Promise<OpenedDatabase> {
  const source = new DataSource(dataSourceOptions(url, poolSize, server));
  try {
    await source.initialize();
  } catch (error) {
    throw mysqlFault(error);
  }
  let closing: Promise<void> | undefined;
  return {
    database: new MysqlDatabase({ ...deps, source, server }),
    close: () => (closing ??= endWithin(deps.clock, source.destroy())),
  };
}

/** A pool waits for ever for a connection that does not answer. */
async function endWithin(clock: DatabaseDeps["clock"], ending: Promise<void>): Promise<void> {
  const ended = new AbortController();
  await Promise.race([ending, clock.sleep(CLOSE_TIMEOUT_MS, ended.signal)]);
  ended.abort();
}
