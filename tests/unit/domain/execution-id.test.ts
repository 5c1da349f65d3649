import assert from "node:assert/strict";
import { test } from "node:test";
import {
  EXECUTION_ID_PATTERN,
  executionTimeMs,
  fireExecutionId,
  idsFrom,
  randomExecutionId,
} from "../../../services/common/domain/execution-id.ts";
import type { JobUid } from "../../../services/common/domain/identifier.ts";

const jobUid = "11111111-0000-4000-8000-000000000000" as JobUid;
const times = [0, 1, 255, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, 1_767_225_600_123, 253_402_300_799_999];

/** The time that an identifier says: its first 48 bits. */
function timeOf(executionId: string): number {
  return Number.parseInt(executionId.replaceAll("-", "").slice(0, 12), 16);
}

for (const timeMs of times) {
  test(`rule 9: the first 48 bits of an identifier are its milliseconds: ${timeMs}`, () => {
    for (const id of [fireExecutionId(jobUid, timeMs, 0), randomExecutionId(timeMs, new Uint8Array(10).fill(0xff))]) {
      assert.match(id, EXECUTION_ID_PATTERN);
      assert.equal(timeOf(id), timeMs);
      assert.equal(executionTimeMs(id), timeMs);
      assert.ok(idsFrom(timeMs) < id && id < idsFrom(timeMs + 1));
    }
  });
}

test("rule 9: a fire is a UUIDv8 and a submission a UUIDv7, of RFC 9562's variant", () => {
  assert.match(fireExecutionId(jobUid, 5, 0), /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-/);
  for (const fill of [0x00, 0xff]) {
    assert.match(randomExecutionId(5, new Uint8Array(10).fill(fill)), /^.{14}7[0-9a-f]{3}-[89ab]/);
  }
});

test("rule 9: the same fire has the same identifier, and no other fire has it", () => {
  const ids = [
    fireExecutionId(jobUid, 1_000, 0),
    fireExecutionId(jobUid, 1_000, 1),
    fireExecutionId(jobUid, 1_001, 0),
    fireExecutionId("22222222-0000-4000-8000-000000000000" as JobUid, 1_000, 0),
    // Nothing runs together.
    fireExecutionId("1" as JobUid, 10, 0),
    fireExecutionId("1\n1" as JobUid, 0, 0),
  ];
  assert.equal(new Set(ids).size, ids.length);
  assert.equal(fireExecutionId(jobUid, 1_000, 0), ids[0]);
  // It is in stores already: it may never change.
  assert.equal(fireExecutionId(jobUid, 1_767_225_600_000, 0), "019b76da-a800-8b27-9c3a-26fda9ac7409");
});

test("rule 8: identifiers sort as their times do", () => {
  const ids = times.map((timeMs) => fireExecutionId(jobUid, timeMs, 0));
  assert.deepEqual(ids.toSorted(), ids);
});
