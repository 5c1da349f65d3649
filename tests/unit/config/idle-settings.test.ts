/** Nothing is accepted and ignored: every setting is read by something. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { PROCESSES, type Settings } from "../../../services/common/config/process-settings.ts";

function sourcesUnder(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts"))
    .map((path) => join(folder, path))
    .filter((path) => !path.startsWith("services/common/config/"));
}

test("every setting is read by something beside the config itself", () => {
  const code = sourcesUnder("services").map((path) => readFileSync(path, "utf8"));
  const names = new Set(Object.values<Settings>(PROCESSES).flatMap((settings) => Object.keys(settings)));
  const idle = [...names].filter((name) => !code.some((text) => new RegExp(`\\b${name}\\b`).test(text)));
  assert.deepEqual(idle, []);
});
