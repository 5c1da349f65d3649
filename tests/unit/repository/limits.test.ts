/** docs/limits.md is the table of all bounds: each as the code has it, with a test that stands at it. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const ROOT = join(import.meta.dirname, "../../..");
/** Bounds that refuse something and have no test yet: fewer is welcome, more is not. */
const UNTESTED_AT_MOST = 2;

type Row = { readonly name: string; readonly value: string; readonly file: string; readonly test: string | null };

const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");

/** Rows by the heading that they stand under. */
function tableRows(): ReadonlyMap<string, readonly Row[]> {
  const rows = new Map<string, Row[]>();
  let heading = "";
  for (const line of read("docs/limits.md").split("\n")) {
    heading = /^## (.*)/.exec(line)?.[1] ?? heading;
    const [, name, value, file, more] = /^\| .* \| `(.+?)` \| `(.+?)` \| `(services\/.+?)` \|(.*)$/.exec(line) ?? [];
    if (name === undefined || value === undefined || file === undefined) continue;
    const test = more?.trim().replace(/ \|$/, "") ?? "";
    rows.set(heading, [...(rows.get(heading) ?? []), { name, value, file, test: test === "" ? null : test }]);
  }
  return rows;
}

const rows = tableRows();
const all = [...rows.values()].flat();

/** What a constant, or a field of a constant object, is set to; null when there is no such constant. */
function initializerOf(source: string, name: string): string | null {
  const [constant = "", field] = name.split(".");
  const body = new RegExp(`^(?:export )?const ${constant}(?:: [^=]+)? = ([\\s\\S]*?);\\s*(?://.*)?$`, "m").exec(source);
  if (field === undefined) return body?.[1] ?? null;
  return new RegExp(`\\b${field}: ([^,}]+)[,\\s}]`).exec(body?.[1] ?? "")?.[1]?.trim() ?? null;
}

function sources(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts"))
    .map((path) => `${folder}/${path}`);
}

test("each limit has the value that the table says", () => {
  const wrong = all.filter(({ name, value, file }) => initializerOf(read(file), name) !== value);
  assert.deepEqual(wrong, []);
  assert.ok(all.length > 200, "the table is read");
});

test("no MAX_ of services is missing from the table, and none stands there twice", () => {
  const listed = all.map(({ name, file }) => `${file}: ${name}`);
  const missing: string[] = [];
  for (const file of sources("services")) {
    for (const [, name] of read(file).matchAll(/^(?:export )?const (\w*MAX_\w+)(?::[^=]+)? =/gm)) {
      if (!listed.includes(`${file}: ${name}`)) missing.push(`${file}: ${name}`);
    }
  }
  assert.deepEqual(missing, [], "add a row to docs/limits.md");
  assert.equal(new Set(listed).size, listed.length);
});

/** True when a test of the file has this title, whole: a part of one would be found anywhere. */
function hasTitle(source: string, title: string): boolean {
  return ['"', "`"].some(
    (quote) => source.includes(`(${quote}${title}${quote}`) || source.includes(`\n  ${quote}${title}${quote},`),
  );
}

test("each limit's test is there, under its title", () => {
  const wrong: string[] = [];
  for (const { name, test: cell } of all) {
    if (cell === null) continue;
    const [, path = "", title = ""] = /^`(.+?)`: (.+)$/.exec(cell) ?? [];
    if (!existsSync(join(ROOT, path)) || !hasTitle(read(path), title)) wrong.push(`${name}: ${cell}`);
  }
  assert.deepEqual(wrong, []);
});

test("a limit without a test stands under a heading that says so", () => {
  const without = [...rows].filter(([, under]) => under.some(({ test: cell }) => cell === null));
  assert.deepEqual(
    without.map(([heading]) => heading),
    ["Refused, and without a test at the bound", "Inside"],
  );
  const untested = rows.get("Refused, and without a test at the bound") ?? [];
  assert.ok(untested.length <= UNTESTED_AT_MOST, `${untested.length} bounds have no test`);
});
