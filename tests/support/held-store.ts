/** A job whose clock is the test's, on a store of executions: for the contract of fires that are held (rule 11). */
import assert from "node:assert/strict";
import { SqlExecutionStore } from "../../services/common/adapter/sql/executions.ts";
import { SqlJobStore } from "../../services/common/adapter/sql/jobs.ts";
import type { AttemptOutcome } from "../../services/common/domain/attempt.ts";
import type { Execution, NewExecution } from "../../services/common/domain/execution.ts";
import { fireExecutionId } from "../../services/common/domain/execution-id.ts";
import type { JobUid } from "../../services/common/domain/identifier.ts";
import { defaultPolicy } from "../../services/common/domain/policy.ts";
import { scheduleDefaults } from "../../services/common/domain/schedule/schedule.ts";
import type { ClaimedSlot } from "../../services/common/port/store-executions.ts";
import type { Fire } from "../../services/common/port/store-jobs.ts";
import { SystemClock } from "../../services/common/runtime/system-clock.ts";
import { SystemRandom } from "../../services/common/runtime/system-random.ts";
import { clockedDatabase } from "./clocked-database.ts";
import { addExecutor, newExecution, resultOf, type StoreSetup, slot } from "./execution-store.ts";

/** The job. */
export const uid = "33333333-3333-4333-8333-333333333333" as JobUid;
/** The nominal time of its first fire. */
export const NOMINAL_US = 1_700_000_000_000_000;
/** Between two of them. */
export const PERIOD_US = 10_000_000;
/** The first fire. */
export const id = fireExecutionId(uid, NOMINAL_US / 1_000, 0);
/** Its gate. */
export const gateKeys = [`job:${uid}`];
/** The job's name. */
export const name = ["default", "job-1"] as const;

/** A store whose clock the test sets. */
export async function rig(setup: StoreSetup) {
  const clock = { us: NOMINAL_US - 200_000 };
  const own = clockedDatabase(setup.database, () => clock.us);
  const jobs = new SqlJobStore(own);
  const store = new SqlExecutionStore({ database: own, random: new SystemRandom(), clock: new SystemClock() });
  const created = await jobs.create({ ...spec(), jobUid: uid, shard: 9, nextFireUs: NOMINAL_US, createUs: 1 }, null);
  assert.equal(created.kind, "created");
  const executor = await addExecutor(setup);
  return { setup, clock, jobs, store, executor };
}

/** A store under test with its job. */
export type Rig = Awaited<ReturnType<typeof rig>>;

/** Each ten seconds; `NOMINAL_US` is one of its times. */
export function spec(
  more: { readonly intervalMs?: number; readonly command?: string; readonly maxConcurrency?: number } = {},
) {
  const { intervalMs = PERIOD_US / 1_000, command = "true", maxConcurrency = 0 } = more;
  const bytes = Buffer.from(command);
  return {
    ...{ namespace: "default", jobId: "job-1", name: "", description: "", labels: {} },
    target: { kind: "command", method: "", summary: command, bytes } as const,
    schedule: { ...scheduleDefaults, when: { kind: "interval", intervalMs } as const, startMs: NOMINAL_US / 1_000 },
    policy: { ...defaultPolicy, maxConcurrency },
  };
}

/** A fire at NOMINAL_US for a slot. */
export function fire(given: ClaimedSlot | null, more: Partial<NewExecution> = {}): Fire {
  const execution = newExecution({
    ...{ executionId: id, jobId: "job-1", jobUid: uid, jobRevision: 1, cause: "SCHEDULE" },
    ...{ scheduledUs: NOMINAL_US, readyUs: NOMINAL_US },
    ...more,
  });
  const base = { jobUid: uid, revision: 1, nominalUs: NOMINAL_US, nextUs: NOMINAL_US + PERIOD_US };
  return { ...base, executions: [execution], skipped: [], slot: given };
}

/** Stores it ahead of its time. */
export async function hold({ jobs, executor }: Rig, more: Partial<NewExecution> = {}): Promise<Execution> {
  const outcome = await jobs.fire(fire(slot(executor), more));
  assert.ok(outcome.kind === "fired");
  return outcome.dispatched ?? assert.fail("it is dispatched");
}

/** What the executor of a held fire answers a stop. */
export const notStarted: AttemptOutcome = {
  kind: "returned",
  reason: "NOT_STARTED",
  message: "stopped before its time",
};

/** Its attempt ends. */
export async function comeBack({ store }: Rig, execution: Execution, outcome = notStarted): Promise<void> {
  await store.storeResults([resultOf(execution, outcome, { startUs: null })], null);
}

/** Held and waiting, of each gate. */
export async function gates({ setup }: Rig): Promise<unknown[]> {
  const rows = await setup.rows("SELECT held, waiting FROM gates ORDER BY gate_key");
  return rows.map((row) => [Number(row.held), Number(row.waiting)]);
}

/** How the fire stands: state, reason, ready time, attempt. */
export async function standing({ store }: Rig): Promise<unknown[]> {
  const execution = (await store.get(id)) ?? assert.fail();
  return [execution.state, execution.stateReason, execution.readyUs, execution.attempt];
}
