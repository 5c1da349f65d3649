import { text } from "./row-reader.ts";
import type { SqlSession } from "./session.ts";

/**
 * The first `limit` namespaces that a table has, whose index begins with them: by jumping from one to the next, it costs
 * as much as there are namespaces. SQLite has no loose index scan of its own.
 */
export async function namespacesOf(
  session: SqlSession,
  table: "requests" | "unsuccessful_ends",
  limit: number,
): Promise<readonly string[]> {
  const sql = session.dialect.kind === "sqlite" ? sqliteNamespaces(table) : mysqlNamespaces(table);
  return (await session.query(sql, [limit])).map((row) => text(row, "namespace"));
}

/** "Using index for group-by". */
function mysqlNamespaces(table: string): string {
  return `SELECT namespace FROM ${table} GROUP BY namespace ORDER BY namespace LIMIT ?`;
}

function sqliteNamespaces(table: string): string {
  return `WITH RECURSIVE found(namespace) AS (
      SELECT MIN(namespace) FROM ${table}
      UNION ALL
      SELECT (SELECT MIN(t.namespace) FROM ${table} t WHERE t.namespace > found.namespace)
        FROM found WHERE found.namespace IS NOT NULL
    )
    SELECT namespace FROM found WHERE namespace IS NOT NULL LIMIT ?`;
}
