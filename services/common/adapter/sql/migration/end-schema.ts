import type { MigrationInterface, QueryRunner } from "typeorm";
import { CAUSES, type Cause } from "../../../domain/execution.ts";
import { causeHash } from "../execution-labels.ts";
import { StateNumber } from "../execution-row.ts";
import { endMysql } from "./end-mysql.ts";
import { endSqlite } from "./end-sqlite.ts";
import { StoredExecutions, type WrittenRows } from "./stored-executions.ts";

type StoredEnd = {
  readonly execution_id: string;
  readonly namespace: string;
  readonly state: number;
  readonly state_reason: number;
  readonly job_id: string | null;
  readonly cause: number;
};

/**
 * Ends other than SUCCEEDED and rare causes, by which lists find executions:
 * the tables, and the rows of the executions that are there. Run again after a
 * crash it goes on with what is missing.
 */
export class EndSchema1796774400000 implements MigrationInterface {
  readonly name = "EndSchema1796774400000";

  async up(runner: QueryRunner): Promise<void> {
    const isSqlite = runner.dataSource.options.type === "better-sqlite3";
    for (const statement of isSqlite ? endSqlite : endMysql) await runner.query(statement);
    const stored = new StoredExecutions(runner, this.name);
    await stored.fill<StoredEnd>("execution_id, namespace, state, state_reason, job_id, cause", endRows);
  }

  async down(): Promise<void> {
    throw new Error("a schema is never taken back: restore a backup");
  }
}

function endRows(rows: readonly StoredEnd[]): readonly WrittenRows[] {
  const unsuccessful = rows.filter(({ state }) => Number(state) > StateNumber.SUCCEEDED);
  const causes = rows.flatMap(({ execution_id, cause }) => {
    const hash = causeHash(CAUSES[Number(cause)] as Cause);
    return hash === null ? [] : [[execution_id, hash]];
  });
  return [
    {
      table: "unsuccessful_ends",
      columns: ["execution_id", "namespace", "state", "state_reason", "job_id"],
      rows: unsuccessful.map((row) => [row.execution_id, row.namespace, row.state, row.state_reason, row.job_id]),
    },
    { table: "execution_labels", columns: ["execution_id", "label"], rows: causes },
  ];
}
