import { type Dialect, placeholders } from "../sql/dialect.ts";

/** SQLite: one writer, whose transaction is the lock. One prepared statement run row by row is quickest. */
export const sqliteDialect: Dialect = {
  kind: "sqlite",
  forUpdate: "",
  skipLocked: "",
  maxParameters: 32_000,
  maxRows: 1,
  valuesFirst: true,
  insert(table, columns, rowCount, keep) {
    const conflict = keep === undefined ? "" : " ON CONFLICT DO NOTHING";
    return `INSERT INTO ${table} (${columns.join(", ")}) VALUES ${placeholders(columns.length, rowCount)}${conflict}`;
  },
  updateMany({ table, keys, set, also, where }) {
    const assignments = set.map((column) => `${column} = ?`);
    if (also !== undefined) assignments.push(also);
    const conditions = keys.map((column) => `t.${column} = ?`);
    if (where !== undefined) conditions.push(where);
    return `UPDATE ${table} AS t SET ${assignments.join(", ")} WHERE ${conditions.join(" AND ")}`;
  },
  deleteSome: (table, condition, limit) =>
    `DELETE FROM ${table} WHERE rowid IN (SELECT rowid FROM ${table} WHERE ${condition} LIMIT ${limit})`,
};
