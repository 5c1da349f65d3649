import { AddedColumns } from "./added-columns.ts";
import { uniqueMysql } from "./unique-mysql.ts";
import { uniqueSqlite } from "./unique-sqlite.ts";

/** Unique keys, and which execution another one repeats. */
export class UniqueSchema1796083200000 extends AddedColumns {
  readonly name = "UniqueSchema1796083200000";
  protected readonly column = "live_unique_key";
  protected readonly mysql = uniqueMysql;
  protected readonly sqlite = uniqueSqlite;
}
