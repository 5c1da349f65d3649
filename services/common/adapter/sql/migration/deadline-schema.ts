import type { MigrationInterface, QueryRunner } from "typeorm";
import { deadlineMysql } from "./deadline-mysql.ts";
import { deadlineSqlite } from "./deadline-sqlite.ts";

/** Start deadlines, the limit of all retries, and retention. */
export class DeadlineSchema1795996800000 implements MigrationInterface {
  readonly name = "DeadlineSchema1795996800000";

  async up(runner: QueryRunner): Promise<void> {
    // A crash between the statement and its note leaves the columns: MySQL's DDL commits by itself.
    if (await runner.hasColumn("executions", "start_deadline_us")) return;
    const statements = runner.dataSource.options.type === "better-sqlite3" ? deadlineSqlite : deadlineMysql;
    for (const statement of statements) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error("a schema is never taken back: restore a backup");
  }
}
