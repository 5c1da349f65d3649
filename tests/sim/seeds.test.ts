/** 200 seeds, others at each commit, and those that have found faults: no promise is broken on any. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { inChunks } from "./roam.ts";
import { run } from "./run.ts";

const SEEDS = 200;
/** Fresh seeds that have found a fault of the product (docs/simulator.md, track record). */
const PINNED = [1_075_590_283, 2_056_800_348];

/** The commit, or, where there is no repository, the version. */
function commit(): string {
  const { stdout, status } = spawnSync("git", ["rev-parse", "HEAD"], { encoding: "utf8" });
  return status === 0 ? stdout.trim() : readFileSync("package.json", "utf8");
}

test(`${SEEDS} seeds drawn by the commit break no promise`, async (t) => {
  const first = createHash("sha256").update(commit()).digest().readUInt32LE(0);
  t.diagnostic(`seeds ${first} to ${first + SEEDS - 1}`);
  assert.ok(await inChunks(first, SEEDS), "the output above says which seed, and how to replay it");
});

for (const seed of PINNED) {
  test(`seed ${seed}, which has found a fault, breaks no promise any more`, async () => {
    const { verdict } = await run({ seed });
    assert.equal(verdict, null, `${verdict?.checker}: ${verdict?.what}`);
  });
}
