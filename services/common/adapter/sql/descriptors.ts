import type { Page } from "../../port/store.ts";
import type { DescriptorSet, DescriptorStore, StoredMethod } from "../../port/store-descriptors.ts";
import { insertRows } from "./many-rows.ts";
import { pageToken, parsePageToken } from "./page-token.ts";
import { bytes, int, text } from "./row-reader.ts";
import type { SqlDatabase } from "./session.ts";
import { valueLists } from "./value-list.ts";

/** Largest page of methods. */
const MAX_PAGE_SIZE = 1_000;
/** Versions of methods that one page reads. */
const MAX_VERSIONS = 5_000;

/** The versions of a method that count in a namespace, by its parameters method, namespace and method. */
const VERSIONS = `SELECT hash, stored_us FROM descriptor_methods WHERE method = ?
  UNION ALL SELECT hash, stored_us FROM namespace_methods WHERE namespace = ? AND method = ?`;
/** Those of a page of methods, each table by its primary key. */
const PAGE = `SELECT method, hash, stored_us FROM (SELECT method, hash, stored_us FROM descriptor_methods
    WHERE method > ? ORDER BY method, hash LIMIT ${MAX_VERSIONS}) AS whole
  UNION ALL SELECT method, hash, stored_us FROM (SELECT method, hash, stored_us FROM namespace_methods
    WHERE namespace = ? AND method > ? ORDER BY method, hash LIMIT ${MAX_VERSIONS}) AS own
  ORDER BY method, hash LIMIT ${MAX_VERSIONS}`;

/** Descriptors of handlers on SQL. A set is never changed, and stays when its executors are gone. */
export class SqlDescriptorStore implements DescriptorStore {
  readonly #database: SqlDatabase;

  constructor(database: SqlDatabase) {
    this.#database = database;
  }

  async missing(hashes: readonly string[]): Promise<readonly string[]> {
    if (hashes.length === 0) return [];
    const stored = new Set<string>();
    await this.#database.read("descriptor.missing", async (session) => {
      for (const list of valueLists(hashes)) {
        // One that was put for a namespace is asked for all the same: nothing of it is the whole mesh's.
        const sql = `SELECT DISTINCT hash FROM descriptor_methods WHERE hash IN (${list.sql})`;
        const rows = await session.query(sql, list.values);
        for (const row of rows) stored.add(text(row, "hash"));
      }
    });
    return hashes.filter((hash) => !stored.has(hash));
  }

  /** A set that is put again becomes the latest of its methods. */
  async put(set: DescriptorSet, namespace: string | null = null): Promise<void> {
    const methods = set.methods.toSorted();
    await this.#database.transact("descriptor.put", async (session) => {
      const nowUs = await session.nowUs();
      await insertRows(session, "descriptors", ["hash", "bytes", "stored_us"], [[set.hash, set.bytes, nowUs]], "hash");
      const columns = ["method", "hash", "stored_us"];
      const rows = methods.map((method) => [method, set.hash, nowUs]);
      if (namespace === null) {
        await insertRows(session, "descriptor_methods", columns, rows, "method");
        await session.execute("UPDATE descriptor_methods SET stored_us = ? WHERE hash = ?", [nowUs, set.hash]);
        return;
      }
      const own = rows.map((row) => [namespace, ...row]);
      await insertRows(session, "namespace_methods", ["namespace", ...columns], own, "method");
      const update = "UPDATE namespace_methods SET stored_us = ? WHERE hash = ? AND namespace = ?";
      await session.execute(update, [nowUs, set.hash, namespace]);
    });
  }

  forMethod(namespace: string, method: string): Promise<DescriptorSet | null> {
    return this.#database.read("descriptor.for_method", async (session) => {
      const [latest] = await session.query(
        `SELECT d.hash, d.bytes FROM (${VERSIONS}) AS m JOIN descriptors AS d ON d.hash = m.hash
          ORDER BY m.stored_us DESC, d.hash LIMIT 1`,
        [method, namespace, method],
      );
      if (latest === undefined) return null;
      const hash = text(latest, "hash");
      const rows = await session.query(
        `SELECT method FROM descriptor_methods WHERE hash = ?
          UNION SELECT method FROM namespace_methods WHERE hash = ? AND namespace = ? ORDER BY method`,
        [hash, hash, namespace],
      );
      return { hash, bytes: bytes(latest, "bytes"), methods: rows.map((row) => text(row, "method")) };
    });
  }

  bytesOf(hash: string): Promise<Uint8Array | null> {
    return this.#database.read("descriptor.bytes_of", async (session) => {
      const [row] = await session.query("SELECT bytes FROM descriptors WHERE hash = ?", [hash]);
      return row === undefined ? null : bytes(row, "bytes");
    });
  }

  async methods(namespace: string, pageSize: number, token: string | null): Promise<Page<StoredMethod>> {
    const [after] = token === null ? [""] : parsePageToken(token, ["string"]);
    const size = Math.min(Math.max(pageSize, 1), MAX_PAGE_SIZE);
    const found = await this.#database.read("descriptor.methods", async (session) => {
      const rows = await session.query(PAGE, [after, namespace, after]);
      return rows.map((row) => ({
        method: text(row, "method"),
        hash: text(row, "hash"),
        storedUs: int(row, "stored_us"),
      }));
    });
    const latest = new Map<string, StoredMethod>();
    for (const version of found) {
      // Of two that were stored at once the one with the lower hash answers, as in forMethod.
      if (version.storedUs > (latest.get(version.method)?.storedUs ?? -1)) latest.set(version.method, version);
    }
    const isCut = found.length === MAX_VERSIONS;
    // The last one may have versions that were not read; one that has more than all of these is shown by them.
    const whole = [...latest.values()].slice(0, isCut && latest.size > 1 ? -1 : undefined);
    const items = whole.slice(0, size);
    const last = items.at(-1);
    const isLast = !isCut && items.length === whole.length;
    return { items, nextToken: last === undefined || isLast ? null : pageToken([last.method]) };
  }
}
