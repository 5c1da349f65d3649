import type { MigrationInterface, QueryRunner } from "typeorm";

/** Columns that a migration adds to a table, and what belongs to them. */
export abstract class AddedColumns implements MigrationInterface {
  abstract readonly name: string;
  /** Their table. */
  protected readonly table: string = "executions";
  /** The one of them that is there only when all are. */
  protected abstract readonly column: string;
  protected abstract readonly mysql: readonly string[];
  protected abstract readonly sqlite: readonly string[];

  /** A crash between the statement and its note leaves the columns, as MySQL's DDL commits by itself: then nothing is done. */
  async up(runner: QueryRunner): Promise<void> {
    if (await runner.hasColumn(this.table, this.column)) return;
    const statements = runner.dataSource.options.type === "better-sqlite3" ? this.sqlite : this.mysql;
    for (const statement of statements) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error("a schema is never taken back: restore a backup");
  }
}
