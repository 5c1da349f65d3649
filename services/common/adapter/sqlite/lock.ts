import { StoreInUse } from "../../port/store.ts";
import { sqliteFault } from "./fault.ts";
import { openHandle, type SqliteHandle } from "./handle.ts";

/** Holds a data file for one process. */
export type FileLock = { release(): void };

/**
 * Takes the data file for this process until `release` or its death, however
 * it dies: a lock of the operating system on the file beside it, which SQLite
 * takes for us as Node has no call for it. The data file itself stays open to
 * readers. Throws StoreInUse when another process has it.
 */
export function lockFile(dataFile: string): FileLock {
  let handle: SqliteHandle | undefined;
  try {
    handle = openHandle(`${dataFile}.lock`, 0);
    handle.exec("BEGIN EXCLUSIVE");
  } catch (error) {
    handle?.close();
    if (error instanceof Error && "code" in error && error.code === "SQLITE_BUSY") {
      throw new StoreInUse(`another process has ${dataFile} open`, { cause: error });
    }
    throw sqliteFault(error);
  }
  const held = handle;
  return { release: () => held.close() };
}
