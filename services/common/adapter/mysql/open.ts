import { DataSource } from "typeorm";
import type { DatabaseDeps, OpenedDatabase } from "../sql/sql-store.ts";
import { dataSourceOptions } from "./connection.ts";
import { MysqlDatabase } from "./database.ts";
import { mysqlFault } from "./fault.ts";
import { migrateMysql } from "./migrate.ts";

/** Connections of one process; each transaction uses one. */
const POOL_SIZE = 16;
/** Connections that do not end by then are left to the end of the process. */
const CLOSE_TIMEOUT_MS = 2_000;

/** Connects to a MySQL or MariaDB and migrates it behind a lock. Throws StoreTooNew and StoreUnavailable. */
export async function openMysql(url: string, deps: DatabaseDeps): Promise<OpenedDatabase> {
  const server = await migrateMysql(url);
  const source = new DataSource(dataSourceOptions(url, POOL_SIZE, server));
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
