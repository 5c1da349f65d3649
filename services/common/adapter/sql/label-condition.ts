import type { SqlValue } from "./session.ts";

/** A condition on the column `labels`, and its values. */
export type LabelCondition = { readonly sql: string; readonly values: readonly SqlValue[] };

/**
 * Rows with a label. Labels are a flat JSON object of strings, in which quotes are escaped: after "{" at its beginning or
 * "," the pair can stand as a whole entry only, not as the end of a longer key.
 */
export function hasLabel(key: string, value: string): LabelCondition {
  const pair = `${JSON.stringify(key)}:${JSON.stringify(value)}`;
  return { sql: "(INSTR(labels, ?) = 1 OR INSTR(labels, ?) > 0)", values: [`{${pair}`, `,${pair}`] };
}
