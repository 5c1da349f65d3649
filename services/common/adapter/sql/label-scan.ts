import type { ExecutionId } from "../../domain/identifier.ts";
import type { SqlFilter } from "./listing-filter.ts";
import { text } from "./row-reader.ts";
import type { SqlSession } from "./session.ts";
import { type ValueList, valueLists } from "./value-list.ts";

/** Identifiers that are looked up together. */
const SCAN_ROWS = 512;

/** Executions with a label, newest nominal time first. */
export type LabelPart = {
  readonly ids: ValueList<ExecutionId>;
  /** How many they are, and the last of them. */
  readonly count: number;
  readonly last: ExecutionId;
};

/**
 * Those that the index of labels has, part by part, at most `limit` of them.
 * Which of them the filter takes is asked of their rows by primary key, the
 * label among it: so the plan of neither engine depends on how rare a label is.
 */
export async function* labelParts(
  session: SqlSession,
  { label, indexed, indexedValues }: SqlFilter,
  limit: number,
): AsyncGenerator<LabelPart> {
  let before: readonly ExecutionId[] = [];
  for (let scanned = 0; scanned < limit; scanned += SCAN_ROWS) {
    const conditions = ["label = ?", ...indexed, ...before.map(() => "execution_id < ?")];
    const rows = await session.query(
      `SELECT execution_id FROM execution_labels WHERE ${conditions.join(" AND ")} ORDER BY execution_id DESC LIMIT ?`,
      [label, ...indexedValues, ...before, Math.min(SCAN_ROWS, limit - scanned)],
    );
    const [ids] = valueLists(rows.map((row) => text(row, "execution_id") as ExecutionId));
    const last = ids?.values.at(-1);
    if (ids === undefined || last === undefined) return;
    yield { ids, count: rows.length, last };
    if (rows.length < SCAN_ROWS) return;
    before = [last];
  }
}
