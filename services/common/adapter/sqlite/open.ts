import { mkdirSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { StoreUnavailable } from "../../port/store.ts";
import type { DatabaseDeps, OpenedDatabase } from "../sql/sql-store.ts";
import { SqliteDatabase } from "./database.ts";
import { sqliteFault } from "./fault.ts";
import { openHandle, type SqliteHandle } from "./handle.ts";
import { type FileLock, lockFile } from "./lock.ts";
import { migrateFile, openMemory } from "./migrate.ts";

/** Another reader's lock is waited for so long, which blocks the process; then the transaction runs again. */
const BUSY_TIMEOUT_MS = 200;
/** Pages of the file that are kept in memory. */
const CACHE_KIB = 32 * 1024;

/**
 * Opens a data file for this process alone, or a database in memory, and
 * migrates it. WAL with synchronous=FULL: what was committed survives a power
 * cut. Throws StoreInUse, StoreTooNew, StoreUnavailable.
 */
export async function openSqlite(path: string, deps: DatabaseDeps): Promise<OpenedDatabase> {
  if (path === ":memory:") return opened(await openMemory(), deps, () => {});
  const file = resolve(path);
  makeFolder(dirname(file));
  const lock = lockFile(file);
  try {
    return opened(await openFile(file), deps, () => lock.release());
  } catch (error) {
    lock.release();
    throw sqliteFault(error);
  }
}

async function openFile(file: string): Promise<SqliteHandle> {
  const handle = openHandle(file, BUSY_TIMEOUT_MS);
  try {
    handle.pragma("journal_mode = WAL");
    handle.pragma("synchronous = FULL");
    handle.pragma(`cache_size = -${CACHE_KIB}`);
    await migrateFile(file, handle);
    return handle;
  } catch (error) {
    handle.close();
    throw error;
  }
}

function opened(handle: SqliteHandle, deps: DatabaseDeps, release: FileLock["release"]): OpenedDatabase {
  const database = new SqliteDatabase({ ...deps, handle });
  let closing: Promise<void> | undefined;
  return {
    database,
    close: () => (closing ??= database.close().finally(release)),
  };
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
  } catch (error) {
    throw new StoreUnavailable(`the data folder ${folder} cannot be made`, { cause: error });
  }
}
