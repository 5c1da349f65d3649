import assert from "node:assert/strict";
import { test } from "node:test";
import type { ExecutionId } from "../../../services/common/domain/identifier.ts";
import { placeAt, placeOfToken, resumeToken } from "../../../services/scheduler/feed/resume-token.ts";
import { SeenEnds } from "../../../services/scheduler/feed/seen-ends.ts";

const at = (endedUs: number, name: string) => ({ endedUs, executionId: name as ExecutionId });

test("an end is new once, and forgotten with the others of its second", () => {
  const seen = new SeenEnds();
  assert.equal(seen.add(at(1_500_000, "a")), true);
  assert.equal(seen.add(at(1_500_000, "a")), false);
  assert.equal(seen.add(at(1_500_000, "b")), true);
  assert.equal(seen.add(at(2_000_000, "c")), true);
  seen.forgetBefore(1_999_999);
  assert.equal(seen.has(at(1_500_000, "a")), true, "its second is not over");
  seen.forgetBefore(2_000_000);
  assert.deepEqual([seen.has(at(1_500_000, "b")), seen.has(at(2_000_000, "c")), seen.count], [false, true, 1]);
});

test("at the bound the oldest second is forgotten", () => {
  const seen = new SeenEnds(2);
  for (const [second, name] of ["a", "b", "c"].entries()) seen.add(at(second * 1_000_000, name));
  assert.deepEqual([seen.has(at(0, "a")), seen.has(at(1_000_000, "b")), seen.count], [false, true, 2]);
});

test("a resume token is read back as its place, and nothing else is one", () => {
  const place = at(1_767_225_600_000_001, "019b7650-9d00-8000-8000-000000000001");
  assert.deepEqual(placeOfToken(resumeToken(place)), place);
  assert.deepEqual(placeOfToken(resumeToken(placeAt(7))), placeAt(7));
  const text = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const others = ["", "x", "e30", text(["watch-2", 1, ""]), text(["watch-1", -1, ""]), text(["watch-1", 1.5, ""])];
  others.push(text(["watch-1", 1, "no id"]), text(["watch-1", "1", ""]), text(["watch-1", 1]), "A".repeat(10_000));
  for (const other of others) assert.equal(placeOfToken(other), null, other.slice(0, 80));
});
