/** docs/guarantees.md stays true: each rule names files that speak of it, and tests that are named after it. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";

/** The rules that this version is built on. */
const BUILT = [
  1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 27, 28, 29, 30, 31, 32,
];

const sections = readFileSync("docs/guarantees.md", "utf8")
  .split(/^### /m)
  .slice(1)
  .map((text) => ({ rule: Number.parseInt(text, 10), text }));

test("every rule that is built has its section", () => {
  const told = sections.map(({ rule }) => rule);
  for (const rule of BUILT) assert.ok(told.includes(rule), `rule ${rule} has no section in docs/guarantees.md`);
});

for (const { rule, text } of sections) {
  test(`rule ${rule} names a file that holds it and tests that are named after it`, () => {
    const paths = [...text.matchAll(/`((?:services|tests)\/[^`]+\.ts)`/g)].map((match) => match[1] ?? "");
    const tests = paths.filter((path) => path.endsWith(".test.ts"));
    assert.ok(paths.length > tests.length, "no file that holds it");
    assert.ok(tests.length > 0, "no test that attacks it");
    for (const path of paths) assert.ok(existsSync(path), `${path} does not exist`);
    for (const path of tests) {
      const named = new RegExp(`rules?[ \\d,and]*\\b${rule}\\b`, "i");
      assert.match(readFileSync(path, "utf8"), named, `${path} has no test named after rule ${rule}`);
    }
  });
}
