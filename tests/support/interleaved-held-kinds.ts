/** Kinds of transactions about held fires, about what cancels what runs, about pins, progress and drains. */
import { SqlJobStore } from "../../services/common/adapter/sql/jobs.ts";
import type { JobStore } from "../../services/common/port/store-jobs.ts";
import { clockedDatabase } from "./clocked-database.ts";
import { resultOf, submission } from "./execution-store.ts";
import { notStarted } from "./held-store.ts";
import type { Kind } from "./interleaved-kinds.ts";
import { type InterleavedWorld, openRouteId } from "./interleaved-world.ts";

/** By the name of what a scheduler does. */
export const heldKinds: readonly Kind[] = [
  {
    name: "fire ahead",
    target: null,
    isOfJob: true,
    isAhead: true,
    act: ({ database }, world) => {
      const nowUs = world.nominalUs - 100_000;
      return new SqlJobStore(clockedDatabase(database, () => nowUs)).fire(world.fireAhead());
    },
  },
  {
    name: "held fire comes back",
    target: "held",
    act: ({ executions }, world) =>
      executions.storeResults([resultOf(world.target("held"), notStarted, { startUs: null })], null),
  },
  {
    name: "call back",
    target: "held",
    isOfJob: true,
    act: ({ jobs }, { aJob }) => jobs.update({ ...specOf(aJob), description: "changed" }, aJob.nextFireUs, null),
  },
  {
    name: "submit before a held fire",
    target: "held",
    act: ({ executions }, world) => executions.submit([submission(world.gated({ overlap: "SKIP" }))]),
  },
  {
    name: "release",
    target: "back",
    act: ({ executions }, world) => {
      const { executionId, attempt, jobRevision } = world.target("back");
      return executions.releaseHeld([{ executionId, attempt, jobRevision }]);
    },
  },
  {
    name: "back is ready",
    target: "back",
    act: ({ executions }, world) => executions.makeReady([world.target("back").executionId]),
  },
  {
    name: "submit to cancel",
    target: null,
    act: ({ executions }, world) => executions.submit([submission(world.gated({ overlap: "CANCEL_RUNNING" }))]),
  },
  { name: "admit to cancel", target: "cancelling", act: ({ executions }) => executions.admit(10) },
  { name: "pin", target: "unpinned", act: ({ executions }) => executions.pin(openRouteId, 10) },
  {
    name: "progress",
    target: "running",
    act: ({ executions }, world) => {
      const { key } = resultOf(world.target("running"));
      return executions.storeProgress([{ key, fraction: 0.5, message: "half" }]);
    },
  },
  {
    name: "drain",
    target: null,
    act: ({ executors }, { aPlacement }) => executors.drain(aPlacement.executorId, 1_000),
  },
];

function specOf(job: InterleavedWorld["aJob"]): Parameters<JobStore["update"]>[0] {
  const { namespace, jobId, name, description, labels, target, schedule, policy } = job;
  return { namespace, jobId, name, description, labels, target, schedule, policy };
}
