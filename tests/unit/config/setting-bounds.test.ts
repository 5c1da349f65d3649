import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { loadConfig } from "../../../services/common/config/load-config.ts";
import { JobmeshError } from "../../../services/common/error/jobmesh-error.ts";

/** What one setting is at fault for; "" when it is taken. */
function faultOf(name: string, value: string): string {
  try {
    loadConfig("scheduler", { env: { [name]: value }, argv: [] });
  } catch (thrown) {
    assert.ok(thrown instanceof JobmeshError);
    return thrown.fieldViolations.find(({ field }) => field.includes(name))?.description ?? "";
  }
  return "";
}

test("a list of addresses has 32 of them at most", () => {
  const addresses = (count: number) => Array.from({ length: count }, (_, index) => `127.0.0.1:${index + 1}`).join();
  assert.equal(faultOf("JOBMESH_KAFKA_BROKERS", addresses(32)), "");
  assert.match(faultOf("JOBMESH_KAFKA_BROKERS", addresses(33)), /^must be 1 to 32 of/);
});

test("Kafka's user has 256 characters at most", () => {
  assert.doesNotMatch(faultOf("JOBMESH_KAFKA_USER", "u".repeat(256)), /256/);
  assert.match(faultOf("JOBMESH_KAFKA_USER", "u".repeat(257)), /must be 1 to 256 characters/);
});

test("a file of certificates has 1 MiB at most", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "jobmesh-bounds-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "large.pem");
  for (const [bytes, isLong] of [
    [1024 * 1024, false],
    [1024 * 1024 + 1, true],
  ] as const) {
    writeFileSync(path, Buffer.alloc(bytes, "x"));
    assert.equal(/at most 1048576 bytes/.test(faultOf("JOBMESH_TLS_CA", path)), isLong);
  }
});
