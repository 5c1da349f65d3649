import assert from "node:assert/strict";
import { test } from "node:test";
import { jobText, parseJob, parseJobPolicy } from "../../../services/common/adapter/sql/job-text.ts";
import type { Job } from "../../../services/common/domain/job.ts";
import { defaultPolicy } from "../../../services/common/domain/policy.ts";
import { newJob } from "../../support/store-records.ts";

const job: Job = {
  ...newJob({ policy: { ...defaultPolicy, priority: 3 } }),
  ...{ paused: false, pauseReason: "", revision: 1, createUs: 1, updateUs: 1, lastFireUs: null, fireCount: 0 },
};

/** The same text as a version wrote it that did not know these fields. */
function older(text: string): string {
  const known = JSON.parse(text, (key, value) => (value === null && /Ms$/.test(key) ? undefined : value));
  return JSON.stringify(known);
}

test("what a stored job or policy lacks is read as its default", () => {
  const text = older(jobText(job));
  assert.doesNotMatch(text, /startDeadlineMs|maxDurationMs|etentionMs/);
  assert.deepEqual(parseJob(text).policy, job.policy);
  assert.deepEqual(parseJobPolicy(older(JSON.stringify(job.policy))), job.policy);
});
