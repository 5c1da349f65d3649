import { AddedColumns } from "./added-columns.ts";
import { deadlineMysql } from "./deadline-mysql.ts";
import { deadlineSqlite } from "./deadline-sqlite.ts";

/** Start deadlines, the limit of all retries, and retention. */
export class DeadlineSchema1795996800000 extends AddedColumns {
  readonly name = "DeadlineSchema1795996800000";
  protected readonly column = "start_deadline_us";
  protected readonly mysql = deadlineMysql;
  protected readonly sqlite = deadlineSqlite;
}
