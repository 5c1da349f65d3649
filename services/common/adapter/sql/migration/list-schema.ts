import type { MigrationInterface, QueryRunner } from "typeorm";
import { labelHash } from "../execution-labels.ts";
import { listMysql } from "./list-mysql.ts";
import { listSqlite } from "./list-sqlite.ts";
import { StoredExecutions } from "./stored-executions.ts";

type StoredLabels = { readonly execution_id: string; readonly namespace: string; readonly labels: string };

/**
 * Labels by which lists find executions, those of the executions that are there
 * included, and how far attempts are. Run again after a crash it goes on with
 * what is missing: MySQL's DDL commits by itself, and the column is added last.
 */
export class ListSchema1796342400000 implements MigrationInterface {
  readonly name = "ListSchema1796342400000";

  async up(runner: QueryRunner): Promise<void> {
    if (await runner.hasColumn("executions", "progress")) return;
    const isSqlite = runner.dataSource.options.type === "better-sqlite3";
    const { labels, column } = isSqlite ? listSqlite : listMysql;
    for (const statement of labels) await runner.query(statement);
    const stored = new StoredExecutions(runner, this.name);
    await stored.fill<StoredLabels>("execution_id, namespace, labels", (rows) => [
      { table: "execution_labels", columns: ["execution_id", "label"], rows: rows.flatMap(labelRows) },
    ]);
    await runner.query(column);
  }

  async down(): Promise<void> {
    throw new Error("a schema is never taken back: restore a backup");
  }
}

function labelRows({ execution_id, namespace, labels }: StoredLabels): (string | bigint)[][] {
  if (labels === "") return [];
  const entries = Object.entries(JSON.parse(labels) as Record<string, string>);
  return entries.map(([key, value]) => [execution_id, labelHash(namespace, key, value)]);
}
