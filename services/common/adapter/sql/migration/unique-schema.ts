import type { MigrationInterface, QueryRunner } from "typeorm";
import { uniqueMysql } from "./unique-mysql.ts";
import { uniqueSqlite } from "./unique-sqlite.ts";

/** Unique keys, and which execution another one repeats. */
export class UniqueSchema1796083200000 implements MigrationInterface {
  readonly name = "UniqueSchema1796083200000";

  async up(runner: QueryRunner): Promise<void> {
    // A crash between the statement and its note leaves the columns: MySQL's DDL commits by itself.
    if (await runner.hasColumn("executions", "live_unique_key")) return;
    const statements = runner.dataSource.options.type === "better-sqlite3" ? uniqueSqlite : uniqueMysql;
    for (const statement of statements) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error("a schema is never taken back: restore a backup");
  }
}
