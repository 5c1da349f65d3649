import { AddedColumns } from "./added-columns.ts";
import { pinMysql } from "./pin-mysql.ts";
import { pinSqlite } from "./pin-sqlite.ts";

/** Until when executors drain, and whose turn it is under ROUND_ROBIN. */
export class PinSchema1796256000000 extends AddedColumns {
  readonly name = "PinSchema1796256000000";
  protected override readonly table = "executors";
  protected readonly column = "drain_us";
  protected readonly mysql = pinMysql;
  protected readonly sqlite = pinSqlite;
}
