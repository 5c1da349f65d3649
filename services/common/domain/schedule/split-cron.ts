/**
 * The expressions of a contract's cron field: one a line, blank lines left
 * out. A text without any gives one empty expression, which parseCron refuses
 * with its words.
 */
export function splitCron(text: string): string[] {
  const expressions = text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  return expressions.length === 0 ? [""] : expressions;
}
