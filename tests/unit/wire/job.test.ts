import assert from "node:assert/strict";
import { test } from "node:test";
import { Job as JobMessage, Target } from "../../../gen/jobmesh/v1/job.ts";
import { command } from "../../../services/client/targets.ts";
import type { JobUid } from "../../../services/common/domain/identifier.ts";
import type { Job } from "../../../services/common/domain/job.ts";
import { defaultPolicy } from "../../../services/common/domain/policy.ts";
import { scheduleDefaults } from "../../../services/common/domain/schedule/schedule.ts";
import { jobToMessage } from "../../../services/common/wire/job.ts";
import { targetOfBytes } from "../../../services/common/wire/target-head.ts";

const job: Job = {
  namespace: "n",
  jobId: "j",
  name: "N",
  description: "d",
  labels: { a: "1" },
  target: targetOfBytes(Target.encode(command("echo", { args: ["x"] })).finish()),
  schedule: { ...scheduleDefaults, when: { kind: "interval", intervalMs: 1_000 } },
  policy: defaultPolicy,
  jobUid: "uid" as JobUid,
  paused: false,
  pauseReason: "",
  revision: 3,
  createUs: 1_767_225_600_123_456,
  updateUs: 1_767_225_601_000_001,
  nextFireUs: 1_767_225_602_123_000,
  lastFireUs: null,
  fireCount: 5,
  shard: 9,
};

test("a job is shown whole, times to the microsecond", () => {
  const message = JobMessage.decode(JobMessage.encode(jobToMessage(job)).finish());
  assert.deepEqual(
    [
      message.namespace,
      message.jobId,
      message.name,
      message.description,
      message.labels,
      message.uid,
      message.revision,
    ],
    ["n", "j", "N", "d", { a: "1" }, "uid", 3n],
  );
  assert.deepEqual(message.target, command("echo", { args: ["x"] }));
  assert.deepEqual(message.createTime, { seconds: 1_767_225_600n, nanos: 123_456_000 });
  assert.deepEqual(message.updateTime, { seconds: 1_767_225_601n, nanos: 1_000 });
  assert.deepEqual(message.nextFireTime, { seconds: 1_767_225_602n, nanos: 123_000_000 });
  assert.deepEqual(
    [message.lastFireTime, message.paused, message.health, message.parameters],
    [undefined, false, undefined, {}],
  );
});

test("a paused job shows why, and no next fire; one on demand shows no schedule", () => {
  const paused = jobToMessage({ ...job, paused: true, pauseReason: "repairs", lastFireUs: 1_000_000 });
  assert.deepEqual([paused.paused, paused.pauseReason, paused.nextFireTime], [true, "repairs", undefined]);
  assert.deepEqual(paused.lastFireTime, { seconds: 1n, nanos: 0 });
  const onDemand = jobToMessage({ ...job, schedule: null, nextFireUs: null });
  assert.deepEqual([onDemand.schedule, onDemand.nextFireTime], [undefined, undefined]);
});
