import { type Dialect, placeholders, type RowUpdate } from "../sql/dialect.ts";
import type { Column } from "../sql/entity/column.ts";
import { tables } from "../sql/entity/tables.ts";

/** MySQL 8 and MariaDB 10.6 or newer. */
export const mysqlDialect: Dialect = {
  kind: "mysql",
  forUpdate: " FOR UPDATE",
  skipLocked: " FOR UPDATE SKIP LOCKED",
  maxParameters: 60_000,
  maxRows: 500,
  valuesFirst: false,
  insert(table, columns, rowCount, keep) {
    const conflict = keep === undefined ? "" : ` ON DUPLICATE KEY UPDATE ${keep} = ${table}.${keep}`;
    return `INSERT INTO ${table} (${columns.join(", ")}) VALUES ${placeholders(columns.length, rowCount)}${conflict}`;
  },
  updateMany: updateByJoin,
  deleteSome: (table, condition, limit) => `DELETE FROM ${table} WHERE ${condition} LIMIT ${limit}`,
};

/** UPDATE of a table joined with the new values, which neither engine can index: the table is found by its key for each. */
function updateByJoin(update: RowUpdate, rowCount: number): string {
  const columns = [...update.keys, ...update.set];
  const first = `SELECT ${columns.map((column) => `? AS ${column}`).join(", ")}`;
  const next = ` UNION ALL SELECT ${columns.map(() => "?").join(", ")}`;
  const on = update.keys.map((key) => `t.${key} = ${sameText(update.table, key)}`);
  const set = update.set.map((column) => `t.${column} = v.${column}`);
  if (update.also !== undefined) set.push(update.also);
  const where = update.where === undefined ? "" : ` WHERE ${update.where}`;
  const values = first + next.repeat(rowCount - 1);
  return `UPDATE (${values}) AS v STRAIGHT_JOIN ${update.table} AS t ON ${on.join(" AND ")} SET ${set.join(", ")}${where}`;
}

/** A key column of the values in the table's character set: compared in another one, the table's index is of no use. */
function sameText(table: string, key: string): string {
  const column = columnOf(table, key);
  return column.kind === "char" || column.kind === "ascii"
    ? `CONVERT(v.${key} USING ascii) COLLATE ascii_bin`
    : `v.${key}`;
}

function columnOf(table: string, name: string): Column {
  const column = tables.find((candidate) => candidate.name === table)?.columns[name];
  if (column === undefined) throw new RangeError(`no column ${table}.${name}`);
  return column;
}
