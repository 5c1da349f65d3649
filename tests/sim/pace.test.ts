import assert from "node:assert/strict";
import { test } from "node:test";
import { pace } from "./pace.ts";

test("a mesh at rest goes on by itself, and its pace is told", async (t) => {
  const said = t.mock.method(console, "log", () => {});
  assert.ok(await pace(20), "the loops of a mesh at rest have failed");
  assert.match(String(said.mock.calls[0]?.arguments[0]), /^20 virtual seconds at rest in [\d.]+ s of CPU: \d+ times/);
});
