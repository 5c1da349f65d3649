/** Databases of the tests of adoption: made empty, migrated as a start does it, dropped. */
import { openSqlDatabase, openStore } from "../../services/common/adapter/open-store.ts";
import type { DatabaseDeps } from "../../services/common/adapter/sql/sql-store.ts";
import type { Execution } from "../../services/common/domain/execution.ts";
import type { Store } from "../../services/common/port/store.ts";
import { SystemClock } from "../../services/common/runtime/system-clock.ts";
import { SystemRandom } from "../../services/common/runtime/system-random.ts";
import { createDatabase } from "./backends.ts";
import { everyExecution } from "./execution-filter.ts";

const deps: DatabaseDeps = { clock: new SystemClock(), random: new SystemRandom() };

/** Runs a body with the URL of an empty database of the server. */
export async function withDatabase<T>(mysqlUrl: string, body: (url: string) => Promise<T>): Promise<T> {
  const database = await createDatabase(mysqlUrl);
  try {
    return await body(database.url);
  } finally {
    await database.drop();
  }
}

/** Brings a database up to date, as `jobmesh migrate` and each start do. */
export async function migrate(url: string, more: Partial<DatabaseDeps> = {}): Promise<void> {
  await (await openSqlDatabase(url, { ...deps, ...more })).close();
}

/** Runs a body with the store on a database. */
export async function withStore<T>(url: string, body: (store: Store) => Promise<T>): Promise<T> {
  const store = openStore(url, deps);
  await store.start();
  try {
    return await body(store);
  } finally {
    await store.stop();
  }
}

/** The newest 100 executions of a store, oldest nominal time first. */
export async function latestExecutions(store: Store): Promise<readonly Execution[]> {
  const page = await store.executions.list(everyExecution, 100, null, true);
  return page.items.toReversed();
}
