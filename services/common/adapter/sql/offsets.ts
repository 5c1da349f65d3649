import type { OffsetStore, StoredPartition } from "../../port/store-offsets.ts";
import { insertRows } from "./many-rows.ts";
import { int, text } from "./row-reader.ts";
import type { Row, SqlDatabase, SqlSession } from "./session.ts";

const COLUMNS = ["part", "generation", "next_offset", "last_key", "stored_us"];

/** Offsets of the result partitions on SQL. Storing results moves them (rule 3); here they are read and raised. */
export class SqlOffsetStore implements OffsetStore {
  readonly #database: SqlDatabase;

  constructor(database: SqlDatabase) {
    this.#database = database;
  }

  async read(count: number): Promise<readonly StoredPartition[]> {
    const stored = await this.#database.read("offset.read", readAll);
    const there = new Set(stored.map(({ partition }) => partition));
    const missing = Array.from({ length: count }, (_, partition) => partition).filter((one) => !there.has(one));
    if (missing.length === 0) return stored;
    return await this.#database.transact("offset.make", async (session) => {
      const nowUs = await session.nowUs();
      const rows = missing.map((partition) => [partition, 0, 0, "", nowUs]);
      await insertRows(session, "result_offsets", COLUMNS, rows, "part");
      return await readAll(session);
    });
  }

  /**
   * Rule 27. stored_us stays: should the partition be remade once more before
   * anything is stored, reading goes back to the same time again. The key of
   * the record before the new offset is not known, so the check is left out.
   */
  async raiseGeneration(partition: number, generation: number, nextOffset: number): Promise<boolean> {
    const changed = await this.#database.transact("offset.raise", (session) =>
      session.execute(
        `UPDATE result_offsets SET generation = generation + 1, next_offset = ?, last_key = ''
          WHERE part = ? AND generation = ?`,
        [nextOffset, partition, generation],
      ),
    );
    return changed === 1;
  }
}

async function readAll(session: SqlSession): Promise<StoredPartition[]> {
  const rows = await session.query(`SELECT ${COLUMNS.join(", ")} FROM result_offsets ORDER BY part`);
  return rows.map(partitionOf);
}

function partitionOf(row: Row): StoredPartition {
  return {
    partition: int(row, "part"),
    generation: int(row, "generation"),
    nextOffset: int(row, "next_offset"),
    lastKey: text(row, "last_key"),
    storedUs: int(row, "stored_us"),
  };
}
