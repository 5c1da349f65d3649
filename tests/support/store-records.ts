/** Jobs and Hellos for the contract suite of the store; a test names only what it is about. */
import { randomBytes, randomUUID } from "node:crypto";
import type { ExecutorProfile } from "../../services/common/domain/executor.ts";
import type { Fence, JobUid, SchedulerId } from "../../services/common/domain/identifier.ts";
import { defaultPolicy } from "../../services/common/domain/policy.ts";
import { type Schedule, scheduleDefaults } from "../../services/common/domain/schedule/schedule.ts";
import type { Target } from "../../services/common/domain/target.ts";
import type { RequestClaim } from "../../services/common/port/store-executions.ts";
import type { Registration } from "../../services/common/port/store-executors.ts";
import type { NewJob } from "../../services/common/port/store-jobs.ts";
import { testProfile } from "./executor-profile.ts";
import { uniqueName } from "./unique-name.ts";

/** A command. */
export const commandTarget: Target = {
  kind: "command",
  method: "",
  summary: "echo hello",
  bytes: Buffer.from("echo hello"),
};

/** A schedule that fires each minute. */
export const minutely: Schedule = { ...scheduleDefaults, when: { kind: "cron", expressions: ["* * * * *"] } };

/** A job that is not stored yet. */
export function newJob(parts: Partial<NewJob> = {}): NewJob {
  return {
    namespace: uniqueName("ns"),
    jobId: "nightly",
    name: "Nightly",
    description: "What runs at night",
    labels: {},
    target: commandTarget,
    schedule: minutely,
    policy: defaultPolicy,
    jobUid: randomUUID() as JobUid,
    shard: 7,
    nextFireUs: 1_800_000_000_000_000,
    ...parts,
  };
}

/** A request of CreateJob. */
export function createRequest(job: NewJob, parts: Partial<RequestClaim> = {}): RequestClaim {
  return { namespace: job.namespace, method: "create", requestId: "r-1", bodyHash: "a".repeat(64), ...parts };
}

/** A Hello. */
export function registration(
  parts: Partial<Omit<Registration, "profile">> & { readonly profile?: Partial<ExecutorProfile> } = {},
): Registration {
  const executorId = parts.profile?.executorId ?? uniqueName("executor");
  return {
    sessionNumber: 1,
    home: "s-1" as SchedulerId,
    previousIncarnation: null,
    ...parts,
    profile: testProfile(executorId, parts.profile),
  };
}

/** A fence. */
export function newFence(): Fence {
  return (randomBytes(8).readBigUInt64BE() | 1n) as Fence;
}
