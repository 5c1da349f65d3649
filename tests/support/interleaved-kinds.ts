/** Kinds of transactions, each as one scheduler does it: what it is about, and what it does there. */
import { SqlExecutionStore } from "../../services/common/adapter/sql/executions.ts";
import { SqlExecutorStore } from "../../services/common/adapter/sql/executors.ts";
import { SqlJobStore } from "../../services/common/adapter/sql/jobs.ts";
import { SqlOutputStore } from "../../services/common/adapter/sql/output.ts";
import { SqlRetentionStore } from "../../services/common/adapter/sql/retention.ts";
import type { SqlDatabase } from "../../services/common/adapter/sql/session.ts";
import { fireExecutionId } from "../../services/common/domain/execution-id.ts";
import { type UniquePolicy, uniqueKey } from "../../services/common/domain/unique-key.ts";
import type { ExecutionStore } from "../../services/common/port/store-executions.ts";
import type { JobStore } from "../../services/common/port/store-jobs.ts";
import { SystemClock } from "../../services/common/runtime/system-clock.ts";
import { SystemRandom } from "../../services/common/runtime/system-random.ts";
import { failed, newExecution, resultOf, routeId, slot, slots, submission, succeeded } from "./execution-store.ts";
import { heldKinds } from "./interleaved-held-kinds.ts";
import type { TargetState } from "./interleaved-needs.ts";
import { type InterleavedWorld, KEY, pieceOf } from "./interleaved-world.ts";

/** What one side works with. */
export type SideStores = {
  readonly database: SqlDatabase;
  readonly executions: ExecutionStore;
  readonly jobs: JobStore;
  readonly executors: SqlExecutorStore;
  readonly retention: SqlRetentionStore;
  readonly output: SqlOutputStore;
};

/** The parts of the store on a side's database. */
export function storesOn(database: SqlDatabase): SideStores {
  return {
    database,
    executions: new SqlExecutionStore({ database, random: new SystemRandom(), clock: new SystemClock() }),
    jobs: new SqlJobStore(database),
    executors: new SqlExecutorStore(database),
    retention: new SqlRetentionStore(database),
    output: new SqlOutputStore(database),
  };
}

/** A kind of transaction. */
export type Kind = {
  readonly name: string;
  /** The state of the execution that it is about; null when it takes what the other one is about. */
  readonly target: TargetState | null;
  /** The target carries the unique key that this kind submits. */
  readonly hasKey?: boolean;
  /** What waits is past its start deadline. */
  readonly isPast?: boolean;
  /** The job was deleted, where the other kind is not about the job. */
  readonly isJobGone?: boolean;
  /** The job's next fire lies ahead. */
  readonly isAhead?: boolean;
  /** It changes or reads the job itself. */
  readonly isOfJob?: boolean;
  readonly act: (stores: SideStores, world: InterleavedWorld) => Promise<unknown>;
};

function submitting(name: string, policy: UniquePolicy): Kind {
  return {
    name,
    target: null,
    hasKey: true,
    act: ({ executions }, world) => {
      const request = { namespace: "default", method: "submit", requestId: name, bodyHash: "b".repeat(64) } as const;
      const unique = uniqueKey("default", KEY, policy);
      return executions.submit([submission(world.gated(), { unique, request })]);
    },
  };
}

/** By the name of what a scheduler does. */
export const kinds: readonly Kind[] = [
  {
    name: "submit",
    target: null,
    act: ({ executions }, world) => {
      const request = { namespace: "default", method: "run", requestId: "r-1", bodyHash: "a".repeat(64) } as const;
      return executions.submit([submission(world.gated(), { request })]);
    },
  },
  {
    name: "submit to a slot",
    target: null,
    act: ({ executions }, world) =>
      executions.submit([submission(newExecution(), { slot: slot(world.aPlacement) }), submission(newExecution())]),
  },
  submitting("submit or find", "RETURN_EXISTING"),
  submitting("submit or reject", "REJECT"),
  submitting("submit or replace", "REPLACE_WAITING"),
  {
    name: "fire",
    target: null,
    isOfJob: true,
    act: ({ jobs }, world) => {
      const { nominalUs, aJob } = world;
      const executionId = fireExecutionId(aJob.jobUid, nominalUs / 1_000, 0);
      const at = { executionId, cause: "SCHEDULE", scheduledUs: nominalUs, readyUs: nominalUs } as const;
      const executions = [world.gated({ ...at, overlap: "QUEUE_ONE" })];
      const { jobUid, revision } = aJob;
      return jobs.fire({ jobUid, revision, nominalUs, nextUs: nominalUs + 60_000_000, executions, skipped: [] });
    },
  },
  {
    name: "claim",
    target: "ready",
    act: ({ executions }, world) => executions.claim({ routeId, slots: slots(world.aPlacement, 2) }),
  },
  { name: "admit", target: "waiting", act: ({ executions }) => executions.admit(10) },
  {
    name: "result",
    target: "running",
    act: ({ executions }, world) => {
      const offsets = { partition: 0, generation: 0, firstOffset: 0, nextOffset: 1, lastKey: "k" };
      return executions.storeResults([resultOf(world.target("running"), succeeded)], offsets);
    },
  },
  {
    name: "failure",
    target: "running",
    act: ({ executions }, world) => executions.storeResults([resultOf(world.target("running"), failed())], null),
  },
  {
    name: "start",
    target: "running",
    act: ({ executions }, world) => {
      const { executionId, attempt, fence } = resultOf(world.target("running")).key;
      return executions.markStarted([{ key: { executionId, attempt, fence }, startUs: 1_000_000 }]);
    },
  },
  {
    name: "loss",
    target: "running",
    act: async ({ executions, executors }, { aPlacement: { executorId, incarnation } }) => {
      await executors.declareLost(executorId, incarnation, 1);
      return await executions.endLost(executorId, incarnation, 10);
    },
  },
  {
    name: "stop",
    target: null,
    act: ({ executions }, world) => executions.requestStop(world.anyTarget.executionId, "CANCEL", "asked"),
  },
  {
    name: "update",
    target: null,
    isOfJob: true,
    act: ({ jobs }, { aJob }) => {
      const { namespace, jobId, name, description, labels, target, schedule, nextFireUs } = aJob;
      const policy = { ...aJob.policy, maxConcurrency: aJob.policy.maxConcurrency + 1 };
      const spec = { namespace, jobId, name, description, labels, target, schedule, policy };
      return jobs.update(spec, nextFireUs, null);
    },
  },
  { name: "pause", target: null, isOfJob: true, act: ({ jobs }) => jobs.pause("default", "shared", "asked") },
  { name: "delete", target: null, isOfJob: true, act: ({ jobs }) => jobs.delete("default", "shared", null) },
  {
    name: "retry",
    target: "retry",
    act: ({ executions }, world) => executions.makeReady([world.target("retry").executionId]),
  },
  {
    name: "delay",
    target: "due",
    isOfJob: true,
    act: ({ executions }, world) => executions.makeReady([world.target("due").executionId]),
  },
  { name: "expire", target: null, isPast: true, act: ({ executions }) => executions.expire(10) },
  {
    name: "retention",
    target: "ended",
    act: async ({ retention }) => {
      await retention.deleteExpired(10);
      return await retention.deleteEnded(Number.MAX_SAFE_INTEGER, null, 10);
    },
  },
  {
    name: "leftovers",
    target: null,
    isJobGone: true,
    act: ({ retention }) => retention.deleteLeftovers("gates", Number.MAX_SAFE_INTEGER, null),
  },
  {
    name: "output",
    target: null,
    act: ({ output }, world) => output.append([pieceOf(world.anyAttempt, 2)]),
  },
  { name: "recount", target: null, act: ({ executions }) => executions.recountGates() },
  ...heldKinds,
];
