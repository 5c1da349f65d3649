import type { MigrationInterface, QueryRunner } from "typeorm";
import { labelHash } from "../execution-labels.ts";
import { listMysql } from "./list-mysql.ts";
import { listSqlite } from "./list-sqlite.ts";

/** Executions that are looked at in one statement. */
const READ_ROWS = 1_000;
/** Labels that are written in one statement. */
const WRITTEN_ROWS = 500;

type StoredLabels = { readonly execution_id: string; readonly namespace: string; readonly labels: string };

/**
 * Labels by which lists find executions, those of the executions that are there
 * included, and how far attempts are. Run again after a crash it writes what is
 * missing: MySQL's DDL commits by itself, and the column is added last.
 */
export class ListSchema1796342400000 implements MigrationInterface {
  readonly name = "ListSchema1796342400000";

  async up(runner: QueryRunner): Promise<void> {
    if (await runner.hasColumn("executions", "progress")) return;
    const isSqlite = runner.dataSource.options.type === "better-sqlite3";
    const { labels, column } = isSqlite ? listSqlite : listMysql;
    for (const statement of labels) await runner.query(statement);
    await this.#labelStored(runner, isSqlite ? "INSERT OR IGNORE" : "INSERT IGNORE");
    await runner.query(column);
  }

  async down(): Promise<void> {
    throw new Error("a schema is never taken back: restore a backup");
  }

  /** Page by page of the primary key, so that no statement takes long. */
  async #labelStored(runner: QueryRunner, insert: string): Promise<void> {
    for (let after = ""; ; ) {
      const rows: readonly StoredLabels[] = await runner.query(
        `SELECT execution_id, namespace, labels FROM executions WHERE execution_id > ?
          ORDER BY execution_id LIMIT ${READ_ROWS}`,
        [after],
      );
      const written = rows.flatMap(labelRows);
      for (let from = 0; from < written.length; from += WRITTEN_ROWS) {
        const part = written.slice(from, from + WRITTEN_ROWS);
        const places = part.map(() => "(?, ?)").join(", ");
        await runner.query(`${insert} INTO execution_labels (execution_id, label) VALUES ${places}`, part.flat());
      }
      const last = rows.at(-1);
      if (last === undefined || rows.length < READ_ROWS) return;
      after = last.execution_id;
    }
  }
}

function labelRows({ execution_id, namespace, labels }: StoredLabels): (string | bigint)[][] {
  if (labels === "") return [];
  const entries = Object.entries(JSON.parse(labels) as Record<string, string>);
  return entries.map(([key, value]) => [execution_id, labelHash(namespace, key, value)]);
}
