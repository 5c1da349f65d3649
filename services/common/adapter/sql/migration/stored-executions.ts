import type { QueryRunner } from "typeorm";

/**
 * What a migration writes beside the executions that are there: a walk over
 * them in the order of their identifiers, whose place stands in `feeds` after
 * each part. MySQL keeps each part, so that a walk that was cut off goes on
 * where it was; on SQLite a migration is one transaction, taken back with all
 * that it did. A part may be written twice, and so has to be a no-op then.
 */

/** Executions that are looked at in one statement. */
const READ_ROWS = 1_000;
/** Rows that are written in one statement. */
const WRITTEN_ROWS = 500;

type Value = string | number | bigint | null;
type StoredRow = { readonly execution_id: string };
/** Rows for a table. */
export type WrittenRows = {
  readonly table: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Value[])[];
};

/** A walk over the stored executions. */
export class StoredExecutions {
  readonly #runner: QueryRunner;
  readonly #name: string;

  /** @param name of the migration: that of its place in `feeds`, too */
  constructor(runner: QueryRunner, name: string) {
    this.#runner = runner;
    this.#name = name;
  }

  /** Writes what `written` makes of each part; `columns` are those that it looks at. */
  async fill<Row extends StoredRow>(
    columns: string,
    written: (rows: readonly Row[]) => readonly WrittenRows[],
  ): Promise<void> {
    for (let after = await this.#begin(); ; ) {
      const rows: readonly Row[] = await this.#runner.query(
        `SELECT ${columns} FROM executions WHERE execution_id > ? ORDER BY execution_id LIMIT ${READ_ROWS}`,
        [after],
      );
      for (const one of written(rows)) await this.#write(one);
      const last = rows.at(-1);
      if (last === undefined || rows.length < READ_ROWS) break;
      after = last.execution_id;
      await this.#runner.query("UPDATE feeds SET execution_id = ? WHERE name = ?", [after, this.#name]);
    }
    await this.#runner.query("DELETE FROM feeds WHERE name = ?", [this.#name]);
  }

  /** Where a walk that was cut off stands; else it begins. */
  async #begin(): Promise<string> {
    const [place]: readonly { readonly execution_id: string | null }[] = await this.#runner.query(
      "SELECT execution_id FROM feeds WHERE name = ?",
      [this.#name],
    );
    if (place !== undefined) return place.execution_id ?? "";
    await this.#runner.query("INSERT INTO feeds (name) VALUES (?)", [this.#name]);
    return "";
  }

  async #write({ table, columns, rows }: WrittenRows): Promise<void> {
    const insert = this.#runner.dataSource.options.type === "better-sqlite3" ? "INSERT OR IGNORE" : "INSERT IGNORE";
    for (let from = 0; from < rows.length; from += WRITTEN_ROWS) {
      const part = rows.slice(from, from + WRITTEN_ROWS);
      const places = part.map((row) => `(${row.map(() => "?").join(", ")})`).join(", ");
      await this.#runner.query(`${insert} INTO ${table} (${columns.join(", ")}) VALUES ${places}`, part.flat());
    }
  }
}
