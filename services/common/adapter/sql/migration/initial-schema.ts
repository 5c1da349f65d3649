import type { MigrationInterface, QueryRunner } from "typeorm";
import { initialMysql } from "./initial-mysql.ts";
import { initialSqlite } from "./initial-sqlite.ts";

/** The first schema. */
export class InitialSchema1795392000000 implements MigrationInterface {
  readonly name = "InitialSchema1795392000000";

  async up(runner: QueryRunner): Promise<void> {
    const statements = runner.dataSource.options.type === "better-sqlite3" ? initialSqlite : initialMysql;
    for (const statement of statements) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error("a schema is never taken back: restore a backup");
  }
}
