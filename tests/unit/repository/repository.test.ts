/** Reads the repository and keeps it tidy. Sizes, names and unused things are biome's part (biome.json). */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { test } from "node:test";
import { type Finding, findLayerBreaches } from "./layer-rules.ts";
import { readPages, readSources } from "./source-file.ts";
import { findDeadPaths, findTextBreaches, findUndocumented, namesThatSayNothing, textRules } from "./text-rules.ts";

const sources = readSources();

function assertNone(findings: readonly Finding[]): void {
  assert.ok(findings.length === 0, `\n${findings.join("\n")}\n`);
}

test("the sources are read", () => {
  assert.ok(sources.some(({ path }) => path === "tests/unit/repository/repository.test.ts"));
  assert.ok(sources.some(({ path }) => path.startsWith("services/common/domain/")));
});

test("every import goes down the layers, and every vendor stays in its folder", () => {
  assertNone(sources.flatMap(findLayerBreaches));
});

for (const rule of textRules) {
  test(rule.name, () => {
    assertNone(sources.flatMap((file) => findTextBreaches(rule, file)));
  });
}

test("every exported thing of the product has a doc comment", () => {
  const product = sources.filter(({ path }) => /^(?:services|scripts|tests\/support)\//.test(path));
  assertNone(product.flatMap(findUndocumented));
});

test("no file or folder is called by a name that says nothing", () => {
  const findings = sources.flatMap(({ path }) => {
    const parts = path.split("/").map((part) => basename(part).replace(/(?:\.test)?\.(?:ts|mjs)$/, ""));
    return parts.some((part) => namesThatSayNothing.includes(part))
      ? [`${path}:1: name it by the noun that is in it`]
      : [];
  });
  assertNone(findings);
});

test("every path that a page names exists", () => {
  assertNone(readPages().flatMap(findDeadPaths));
});

test("files end at 300 lines and functions at 60, by biome, without exception", () => {
  const { linter, overrides } = JSON.parse(readFileSync("biome.json", "utf8"));
  assert.deepEqual(linter.rules.style.noExcessiveLinesPerFile, { level: "error", options: { maxLines: 300 } });
  assert.deepEqual(linter.rules.complexity.noExcessiveLinesPerFunction, { level: "error", options: { maxLines: 60 } });
  assert.equal(overrides, undefined, "no override: a rule holds everywhere");
});
