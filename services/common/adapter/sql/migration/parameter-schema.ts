import type { QueryRunner } from "typeorm";
import { AddedColumns } from "./added-columns.ts";

/** What each engine calls the column: JSON, compared by byte. Frozen: changes are new migrations. */
const MYSQL = "ADD COLUMN parameters text CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL";
const SQLITE = 'ADD COLUMN "parameters" text';

/** Parameters of jobs and executions: a column of each table, which a crash between them leaves out of one. */
export class ParameterSchema1796515200000 extends AddedColumns {
  readonly name = "ParameterSchema1796515200000";
  protected readonly column = "parameters";
  protected readonly mysql = [`ALTER TABLE executions ${MYSQL}`];
  protected readonly sqlite = [`ALTER TABLE "executions" ${SQLITE}`];

  override async up(runner: QueryRunner): Promise<void> {
    if (!(await runner.hasColumn("jobs", this.column))) {
      const isSqlite = runner.dataSource.options.type === "better-sqlite3";
      await runner.query(isSqlite ? `ALTER TABLE "jobs" ${SQLITE}` : `ALTER TABLE jobs ${MYSQL}`);
    }
    await super.up(runner);
  }
}
