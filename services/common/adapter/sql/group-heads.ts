import type { SqlSession } from "./session.ts";

/** An index of a table that begins with a group and then its order; rows of no group are not in it. */
export type GroupIndex = { readonly table: "executions" | "jobs"; readonly group: string; readonly order: string };

/**
 * The statement that reads the head of each group that has rows: its group, as text in `group_id` (63 bits), and the
 * least of its order in `head`. One loose index scan: it costs as much as there are groups with rows.
 */
export function groupHeadsSql({ dialect }: Pick<SqlSession, "dialect">, index: GroupIndex): string {
  return dialect.kind === "sqlite" ? sqliteHeads(index) : mysqlHeads(index);
}

/** Jumps from group to group: SQLite has no loose index scan of its own. */
function sqliteHeads({ table, group, order }: GroupIndex): string {
  return `WITH RECURSIVE found(id) AS (
      SELECT MIN(${group}) FROM ${table} WHERE ${group} IS NOT NULL
      UNION ALL
      SELECT (SELECT MIN(${group}) FROM ${table} WHERE ${group} > id) FROM found WHERE id IS NOT NULL
    )
    SELECT CAST(id AS CHAR) AS group_id, (SELECT MIN(${order}) FROM ${table} WHERE ${group} = id) AS head
    FROM found WHERE id IS NOT NULL`;
}

/** "Using index for group-by". */
function mysqlHeads({ table, group, order }: GroupIndex): string {
  return `SELECT CAST(${group} AS CHAR) AS group_id, MIN(${order}) AS head
    FROM ${table} WHERE ${group} >= 0 GROUP BY ${group}`;
}
