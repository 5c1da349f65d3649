/** The table of mutations in docs/simulator.md. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Catch } from "./hunt.ts";

const PAGE = join(import.meta.dirname, "../../docs/simulator.md");
const HEAD = "| rule | planted fault | seed | caught by |\n|---|---|---|---|\n";

/** A row: which rules, which mutation, the seed that catches it, and the checker whose verdict it is. */
export type TableRow = {
  readonly rules: string;
  readonly mutation: string;
  readonly seed: number;
  readonly checker: string;
};

/** Reads the table. */
export function readTable(): readonly TableRow[] {
  const [, rest = ""] = readFileSync(PAGE, "utf8").split(HEAD);
  return rowsOf(rest).map((line) => {
    const [, rules = "", mutation = "", seed = "", checker = ""] =
      /^\| (.*) \| (.*) \| (\d+) \| (.*) \|$/.exec(line) ?? [];
    return { rules, mutation, seed: Number(seed), checker };
  });
}

/** Writes the table anew, by rule, then as the mutations stand. */
export function writeTable(catches: readonly Catch[]): void {
  const [before = "", rest = ""] = readFileSync(PAGE, "utf8").split(HEAD);
  const sorted = catches.toSorted((a, b) => (a.mutation.rules[0] ?? 0) - (b.mutation.rules[0] ?? 0));
  const rows = sorted.map(
    ({ mutation, caught }) =>
      `| ${mutation.rules.join(", ")} | ${mutation.name} | ${caught?.seed} | ${caught?.checker} |\n`,
  );
  const behind = rest.slice(rowsOf(rest).reduce((length, line) => length + line.length + 1, 0));
  writeFileSync(PAGE, `${before}${HEAD}${rows.join("")}${behind}`);
}

/** The lines of the table at the beginning of a text. */
function rowsOf(text: string): string[] {
  const lines = text.split("\n");
  const end = lines.findIndex((line) => !line.startsWith("|"));
  return lines.slice(0, Math.max(end, 0));
}
