import { inList } from "./dialect.ts";
import type { SqlValue } from "./session.ts";

/**
 * MariaDB turns an IN list of 1,000 values and more into a join with a table of
 * them, whose plan may read the whole table; shorter ones stay ranges.
 */
const MAX_LIST_VALUES = 512;

/** Values for `IN (sql)`. */
export type ValueList<T extends SqlValue> = { readonly sql: string; readonly values: readonly T[] };

/**
 * Values in lists for `IN`, in their order. Lengths are powers of two, the last
 * value standing in for what is missing, so that the engine sees few texts of
 * statements and can keep them prepared.
 */
export function* valueLists<T extends SqlValue>(values: readonly T[]): Generator<ValueList<T>> {
  for (let first = 0; first < values.length; first += MAX_LIST_VALUES) {
    const part = values.slice(first, first + MAX_LIST_VALUES);
    const last = part.at(-1);
    const length = 2 ** Math.ceil(Math.log2(part.length));
    while (last !== undefined && part.length < length) part.push(last);
    yield { sql: listSql(length), values: part };
  }
}

const sqlOfLength = new Map<number, string>();

function listSql(length: number): string {
  let sql = sqlOfLength.get(length);
  if (sql === undefined) {
    sql = inList(length);
    sqlOfLength.set(length, sql);
  }
  return sql;
}
