import assert from "node:assert/strict";
import { test } from "node:test";
import { jobGateKeys } from "../../../services/common/domain/gate.ts";
import type { JobUid } from "../../../services/common/domain/identifier.ts";
import { defaultPolicy } from "../../../services/common/domain/policy.ts";
import {
  type OverlapPolicy,
  type Schedule,
  scheduleDefaults,
} from "../../../services/common/domain/schedule/schedule.ts";

const jobUid = "11111111-0000-4000-8000-000000000000" as JobUid;
const scheduled = (overlapPolicy: OverlapPolicy): Schedule => ({
  ...scheduleDefaults,
  when: { kind: "interval", intervalMs: 1_000 },
  overlapPolicy,
});

const rows = [
  ["no schedule, no limit, ALLOW", null, 0, "ALLOW", false],
  ["a schedule that allows overlap", scheduled("ALLOW"), 0, "ALLOW", false],
  ["a schedule that skips", scheduled("SKIP"), 0, "SKIP", true],
  ["a run that allows overlap, of a job that skips", scheduled("SKIP"), 0, "ALLOW", true],
  ["a schedule that queues", scheduled("QUEUE_ALL"), 0, "QUEUE_ALL", true],
  ["a limit of concurrency", null, 2, "ALLOW", true],
  ["a run that names another policy", null, 0, "SKIP", true],
] as const;
for (const [what, schedule, maxConcurrency, overlap, isGated] of rows) {
  test(`rule 7: ${what}: ${isGated ? "the job's gate" : "no gate"}`, () => {
    const job = { jobUid, schedule, policy: { ...defaultPolicy, maxConcurrency } };
    assert.deepEqual(jobGateKeys(job, overlap), isGated ? [`job:${jobUid}`] : []);
  });
}
