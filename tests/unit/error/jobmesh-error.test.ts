import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { renderErrorTable } from "../../../services/common/error/error-table.ts";
import { JobmeshError } from "../../../services/common/error/jobmesh-error.ts";
import { REASON_NAMES, REASONS } from "../../../services/common/error/reasons.ts";

test("docs/errors.md is what the table says", async () => {
  const written = await readFile(new URL("../../../docs/errors.md", import.meta.url), "utf8");
  assert.equal(written, renderErrorTable(), "write it again: node scripts/docs.ts");
});

test("a reason is upper snake case, as ErrorInfo wants it", () => {
  for (const reason of REASON_NAMES) assert.match(reason, /^[A-Z][A-Z0-9_]{0,61}[A-Z0-9]$/);
});

test("what is UNAVAILABLE can be tried again, what is INVALID_ARGUMENT cannot", () => {
  for (const reason of REASON_NAMES) {
    const { code, retryable } = REASONS[reason];
    if (code === "UNAVAILABLE") assert.equal(retryable, true, reason);
    if (code === "INVALID_ARGUMENT" || code === "NOT_FOUND") assert.equal(retryable, false, reason);
  }
});

test("the message of an invalid request names each field with its limit", () => {
  const error = JobmeshError.invalid(
    { field: "policy.priority", description: "must be 0 to 1,000; was 1,001" },
    { field: "target", description: "must be set" },
  );
  assert.equal(error.message, "policy.priority: must be 0 to 1,000; was 1,001; target: must be set");
  assert.equal(error.code, "INVALID_ARGUMENT");
});

test("whatever was thrown becomes one error", () => {
  const known = new JobmeshError("JOB_NOT_FOUND");
  assert.equal(JobmeshError.from(known), known);
  assert.equal(JobmeshError.from(AbortSignal.abort().reason).reason, "CANCELLED");
  assert.equal(JobmeshError.from(new DOMException("late", "TimeoutError")).reason, "DEADLINE");
  const bug = new TypeError("secret");
  const opaque = JobmeshError.from(bug);
  assert.equal(opaque.reason, "INTERNAL");
  assert.equal(opaque.cause, bug);
  assert.doesNotMatch(opaque.message, /secret/);
  for (const odd of [undefined, null, "text", 7, {}]) assert.equal(JobmeshError.from(odd).reason, "INTERNAL");
});
