import type { Store } from "../port/store.ts";
import { type DatabaseDeps, type OpenedDatabase, SqlStore } from "./sql/sql-store.ts";

/** Where a store is: JOBMESH_STORE. */
export type StoreLocation =
  | { readonly kind: "sqlite"; readonly path: string }
  | { readonly kind: "mysql"; readonly url: string };

/** Reads `sqlite:PATH`, `sqlite::memory:` or `mysql://USER:PASSWORD@HOST:PORT/DATABASE`. Throws a RangeError that says what is wrong, without the password. */
export function parseStoreUrl(text: string): StoreLocation {
  if (text.startsWith("sqlite:")) {
    const path = text.slice("sqlite:".length);
    if (path === "") throw new RangeError("sqlite: needs a path, such as sqlite:./.jobmesh/store.db");
    return { kind: "sqlite", path };
  }
  if (!text.startsWith("mysql://"))
    throw new RangeError("a store is sqlite:PATH or mysql://USER:PASSWORD@HOST:PORT/DATABASE");
  if (!URL.canParse(text))
    throw new RangeError(
      "the mysql:// URL cannot be read: characters such as @ : / # in a password are written %40 %3A %2F %23",
    );
  if (new URL(text).pathname.length < 2) throw new RangeError("the mysql:// URL names no database");
  return { kind: "mysql", url: text };
}

/** The store behind a URL, as `parseStoreUrl` reads it; `start` connects. */
export function openStore(url: string, deps: DatabaseDeps): Store {
  const { kind } = parseStoreUrl(url);
  return new SqlStore({ kind, clock: deps.clock, random: deps.random, open: () => openSqlDatabase(url, deps) });
}

/** Connects and migrates. Each adapter is loaded only when it is used: TypeORM and mysql2 take 0.4 s to load. */
export async function openSqlDatabase(url: string, deps: DatabaseDeps): Promise<OpenedDatabase> {
  const location = parseStoreUrl(url);
  if (location.kind === "sqlite") {
    const { openSqlite } = await import("./sqlite/open.ts");
    return await openSqlite(location.path, deps);
  }
  const { openMysql } = await import("./mysql/open.ts");
  return await openMysql(location.url, deps);
}
