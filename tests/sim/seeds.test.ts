/** 200 seeds, others at each commit: no promise is broken on any. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { inChunks } from "./roam.ts";

const SEEDS = 200;

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
