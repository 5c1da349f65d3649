import type { DescriptorSet, DescriptorStore } from "../../port/store-descriptors.ts";
import { insertRows } from "./many-rows.ts";
import { bytes, text } from "./row-reader.ts";
import type { SqlDatabase } from "./session.ts";
import { valueLists } from "./value-list.ts";

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
        const rows = await session.query(`SELECT hash FROM descriptors WHERE hash IN (${list.sql})`, list.values);
        for (const row of rows) stored.add(text(row, "hash"));
      }
    });
    return hashes.filter((hash) => !stored.has(hash));
  }

  /** A set that is put again becomes the latest of its methods. */
  async put(set: DescriptorSet): Promise<void> {
    const methods = set.methods.toSorted();
    await this.#database.transact("descriptor.put", async (session) => {
      const nowUs = await session.nowUs();
      await insertRows(session, "descriptors", ["hash", "bytes", "stored_us"], [[set.hash, set.bytes, nowUs]], "hash");
      const rows = methods.map((method) => [method, set.hash, nowUs]);
      await insertRows(session, "descriptor_methods", ["method", "hash", "stored_us"], rows, "method");
      await session.execute("UPDATE descriptor_methods SET stored_us = ? WHERE hash = ?", [nowUs, set.hash]);
    });
  }

  forMethod(method: string): Promise<DescriptorSet | null> {
    return this.#database.read("descriptor.for_method", async (session) => {
      const [latest] = await session.query(
        `SELECT d.hash, d.bytes FROM descriptor_methods AS m JOIN descriptors AS d ON d.hash = m.hash
          WHERE m.method = ? ORDER BY m.stored_us DESC, d.hash LIMIT 1`,
        [method],
      );
      if (latest === undefined) return null;
      const hash = text(latest, "hash");
      const rows = await session.query("SELECT method FROM descriptor_methods WHERE hash = ? ORDER BY method", [hash]);
      return { hash, bytes: bytes(latest, "bytes"), methods: rows.map((row) => text(row, "method")) };
    });
  }
}
