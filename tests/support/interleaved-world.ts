/**
 * The rows that two transactions meet at: one job with one gate, one executor with one route, and an execution in the
 * state that a transaction is about. What two kinds are about in the same state is the same execution.
 */
import assert from "node:assert/strict";
import { tables } from "../../services/common/adapter/sql/entity/tables.ts";
import { overlapNumber, stopReasonNumber } from "../../services/common/adapter/sql/execution-row.ts";
import { jobGateKey } from "../../services/common/adapter/sql/gate-row.ts";
import { SqlJobStore } from "../../services/common/adapter/sql/jobs.ts";
import { SqlOffsetStore } from "../../services/common/adapter/sql/offsets.ts";
import { SqlOutputStore } from "../../services/common/adapter/sql/output.ts";
import type { SqlValue } from "../../services/common/adapter/sql/session.ts";
import type { OutputPiece } from "../../services/common/domain/attempt.ts";
import type { Execution, NewExecution } from "../../services/common/domain/execution.ts";
import { fireExecutionId } from "../../services/common/domain/execution-id.ts";
import type { JobUid } from "../../services/common/domain/identifier.ts";
import type { Job } from "../../services/common/domain/job.ts";
import { defaultPolicy, type ExecutionPolicy } from "../../services/common/domain/policy.ts";
import { routeIdOf, routeText, TO_BE_PINNED } from "../../services/common/domain/route.ts";
import { scheduleDefaults } from "../../services/common/domain/schedule/schedule.ts";
import { uniqueKey } from "../../services/common/domain/unique-key.ts";
import type { Placement, SubmitOutcome } from "../../services/common/port/store-executions.ts";
import type { Fire } from "../../services/common/port/store-jobs.ts";
import { clockedDatabase } from "./clocked-database.ts";
import {
  addExecutor,
  failed,
  keyOf,
  newExecution,
  resultOf,
  routeId,
  routeTextOfAll,
  type StoreSetup,
  slot,
  slots,
  submission,
  succeeded,
} from "./execution-store.ts";
import { notStarted } from "./held-store.ts";
import type { HolderState, TargetState, WorldNeeds } from "./interleaved-needs.ts";
import { createRequest, newJob } from "./store-records.ts";

const UID = "33333333-3333-4333-8333-333333333333" as JobUid;
/** Tables that nothing here writes. */
const UNUSED = new Set(["descriptors", "descriptor_methods", "feeds", "mesh"]);
const NOMINAL_US = 1_700_000_000_000_000;
const PERIOD_US = 60_000_000;
/** A fire is sent so long before its time. */
const AHEAD_US = 100_000;
const HOLDERS: readonly HolderState[] = ["running", "retry", "held", "ready", "unpinned"];
const OPEN_ROUTE = routeText({ kind: "command", method: "", namespace: "default", labels: {}, pin: TO_BE_PINNED });
/** Where what is to be pinned waits. */
export const openRouteId = routeIdOf(OPEN_ROUTE);
/** Retried at once, up to three attempts; kept for a minute. */
export const worldPolicy: ExecutionPolicy = {
  ...defaultPolicy,
  retentionMs: 60_000,
  retry: { ...defaultPolicy.retry, maxAttempts: 3, initialIntervalMs: 0 },
};

/** The key that submissions share. */
export const KEY = "the key";
/** The gate that everything shares. */
export const GATE = jobGateKey(UID);

/** What the rows are made with. */
export type WorldStore = Pick<StoreSetup, "store" | "database" | "sql" | "rows">;

/** The rows of one order. */
export class InterleavedWorld {
  readonly setup: WorldStore;
  readonly jobs: SqlJobStore;
  readonly targets = new Map<TargetState, Execution>();
  job: Job | null = null;
  /** A nominal time that lies ahead. */
  readonly aheadUs = Math.ceil(Date.now() / 1_000) * 1_000_000 + 3_600_000_000;
  placement: Placement | null = null;

  private constructor(setup: WorldStore) {
    this.setup = setup;
    this.jobs = new SqlJobStore(setup.database);
  }

  /** Empties the tables and makes the rows. */
  static async make(setup: WorldStore, needs: WorldNeeds): Promise<InterleavedWorld> {
    const world = new InterleavedWorld(setup);
    await setup.sql(async (session) => {
      for (const { name } of tables) if (!UNUSED.has(name)) await session.execute(`DELETE FROM ${name}`);
    });
    await world.#fill(needs);
    return world;
  }

  /** A new execution of the job, through its gate. */
  gated(more: Partial<NewExecution> = {}): NewExecution {
    const { jobId } = this.aJob;
    return newExecution({
      jobId,
      jobUid: UID,
      jobRevision: 1,
      cause: "RUN_JOB",
      policy: worldPolicy,
      gateKeys: [GATE],
      labels: { team: "a" },
      ...more,
    });
  }

  get aJob(): Job {
    return this.job ?? assert.fail("no job");
  }

  get aPlacement(): Placement {
    return this.placement ?? assert.fail("no executor");
  }

  /** The next fire of the job. */
  get nominalUs(): number {
    return this.aJob.nextFireUs ?? assert.fail("it fires no more");
  }

  /** The one that waits or runs; what has ended only when there is no other. */
  get anyTarget(): Execution {
    const [state] = [...this.targets.keys()].sort((a, b) => Number(a === "ended") - Number(b === "ended"));
    return this.target(state ?? "ended");
  }

  /** One with an attempt. */
  get anyAttempt(): Execution {
    return [...this.targets.values()].find(({ fence }) => fence !== null) ?? assert.fail("no attempt");
  }

  target(state: TargetState): Execution {
    return this.targets.get(state) ?? assert.fail(`no target is ${state}`);
  }

  async #fill({ targets, hasKey, isPast, isJobGone, isAhead }: WorldNeeds): Promise<void> {
    this.placement = await addExecutor(this.setup);
    const holders = HOLDERS.filter((state) => targets.has(state));
    const policy = { ...defaultPolicy, maxConcurrency: Math.max(holders.length, 1) };
    await this.#create(policy, isAhead || targets.has("held") || targets.has("back"));
    await new SqlOffsetStore(this.setup.database).read(1);
    await this.setup.sql((session) =>
      session.execute("INSERT INTO routes (route_id, text) VALUES (?, ?), (?, ?)", [
        ...[routeId, routeTextOfAll],
        ...[openRouteId, OPEN_ROUTE],
      ]),
    );
    let key = hasKey;
    const keyed = (): boolean => {
      const mine = key;
      key = false;
      return mine;
    };
    if (targets.has("ended")) this.targets.set("ended", await this.#ended());
    if (targets.has("back")) this.targets.set("back", await this.#back());
    for (const state of holders) this.targets.set(state, await this.#holder(state, keyed()));
    if (targets.has("due")) this.targets.set("due", await this.#due(keyed()));
    if (targets.has("waiting")) this.targets.set("waiting", await this.#waiting(holders.length === 0, keyed()));
    if (targets.has("cancelling"))
      this.targets.set("cancelling", await this.#cancelling(holders.length === 0, keyed()));
    if (isPast) await this.#set("start_deadline_us = 1 WHERE state IN (1, 2)");
    if (isJobGone) await this.jobs.delete("default", "shared", null);
    else this.job = await this.jobs.getByUid(UID);
  }

  async #create(policy: ExecutionPolicy, isAhead: boolean): Promise<void> {
    const nextFireUs = isAhead ? this.aheadUs : NOMINAL_US;
    const when = { kind: "interval", intervalMs: PERIOD_US / 1_000 } as const;
    const schedule = { ...scheduleDefaults, when, startMs: nextFireUs / 1_000 };
    const named = { namespace: "default", jobId: "shared", jobUid: UID, nextFireUs, policy };
    const draft = newJob({ ...named, ...(isAhead ? { schedule } : {}) });
    const created = await this.jobs.create(draft, createRequest(draft));
    this.job = created.kind === "created" ? created.job : assert.fail(created.kind);
  }

  /** A fire of the job for a slot, before its time. */
  fireAhead(): Fire {
    const { jobUid, revision } = this.aJob;
    const nominalUs = this.nominalUs;
    const executionId = fireExecutionId(jobUid, nominalUs / 1_000, 0);
    const at = { executionId, cause: "SCHEDULE", scheduledUs: nominalUs, readyUs: nominalUs } as const;
    const executions = [this.gated({ ...at, overlap: "ALLOW" })];
    const base = { jobUid, revision, nominalUs, nextUs: nominalUs + PERIOD_US };
    return { ...base, executions, skipped: [], slot: slot(this.aPlacement) };
  }

  async #holder(state: HolderState, hasKey: boolean): Promise<Execution> {
    if (state === "held") return await this.#held();
    if (state === "unpinned") {
      const policy = { ...worldPolicy, routingStrategy: "ROUND_ROBIN" } as const;
      return await this.#submit(this.gated({ policy, routeId: openRouteId }), hasKey);
    }
    const ready = await this.#submit(this.gated(), hasKey);
    assert.equal(ready.blockedKey, null);
    if (state === "ready") return ready;
    const running = await this.#claim();
    if (state === "running") return running;
    await this.setup.store.storeResults([resultOf(running, failed())], null);
    const retry = { state: 1, timer: "timer_shard = shard, claim_route = NULL, ready_us = 1" };
    await this.#set(`state = ${retry.state}, ${retry.timer} WHERE execution_id = ?`, running.executionId);
    return running;
  }

  /** Sent ahead, by a schedule that does not run two at once. */
  async #held(): Promise<Execution> {
    const { database } = this.setup;
    const outcome = await new SqlJobStore(clockedDatabase(database, () => this.nominalUs - AHEAD_US)).fire(
      this.fireAhead(),
    );
    const held = outcome.kind === "fired" ? outcome.dispatched : undefined;
    assert.ok(held !== undefined, outcome.kind);
    await this.#set(`overlap = ${overlapNumber("SKIP")} WHERE execution_id = ?`, held.executionId);
    this.job = await this.jobs.getByUid(UID);
    return held;
  }

  async #back(): Promise<Execution> {
    const held = await this.#held();
    await this.#set(
      `stop_reason = ${stopReasonNumber("SUPERSEDED")}, stop_us = 1 WHERE execution_id = ?`,
      held.executionId,
    );
    await this.setup.store.storeResults([resultOf(held, notStarted, { startUs: null })], null);
    await this.#set("ready_us = 1 WHERE execution_id = ?", held.executionId);
    return held;
  }

  async #cancelling(hasRoom: boolean, hasKey: boolean): Promise<Execution> {
    const waiting = await this.#waiting(hasRoom, hasKey);
    const policy = overlapNumber("CANCEL_RUNNING");
    await this.#set(`overlap = ${policy} WHERE execution_id = ?`, waiting.executionId);
    await this.setup.sql((session) => session.execute(`UPDATE gates SET overlap = ${policy}`));
    return waiting;
  }

  async #due(hasKey: boolean): Promise<Execution> {
    const fire = { cause: "SCHEDULE", overlap: "QUEUE_ONE", scheduledUs: NOMINAL_US - 1_000_000 } as const;
    const due = await this.#submit(this.gated({ ...fire, readyUs: Date.now() * 1_000 + 3_600_000_000 }), hasKey);
    await this.#set("ready_us = 1 WHERE execution_id = ?", due.executionId);
    await this.setup.sql((session) => session.execute("UPDATE jobs SET fire_count = fire_count + 1"));
    return due;
  }

  /** Waits at the gate, which the admitter is to look at; there is room where nothing else holds it. */
  async #waiting(hasRoom: boolean, hasKey: boolean): Promise<Execution> {
    const before = hasRoom ? await this.#submit(this.gated(), false) : null;
    const waiting = await this.#submit(this.gated(), hasKey);
    assert.equal(waiting.blockedKey, GATE);
    if (before !== null) await this.setup.store.requestStop(before.executionId, "CANCEL", "");
    await this.setup.sql((session) => session.execute("UPDATE gates SET try_us = 1"));
    return waiting;
  }

  /** Ended long ago, with an attempt and output. */
  async #ended(): Promise<Execution> {
    await this.#submit(this.gated(), false);
    const running = await this.#claim();
    await this.setup.store.storeResults([resultOf(running, succeeded)], null);
    await new SqlOutputStore(this.setup.database).append([pieceOf(running, 1)]);
    await this.#set("ended_us = 1, expire_us = 1 WHERE execution_id = ?", running.executionId);
    return running;
  }

  async #claim(): Promise<Execution> {
    const [claimed] = await this.setup.store.claim({ routeId, slots: slots(this.aPlacement, 1) });
    return claimed ?? assert.fail("nothing to claim");
  }

  async #submit(execution: NewExecution, hasKey: boolean): Promise<Execution> {
    const unique = hasKey ? uniqueKey("default", KEY, "REJECT") : null;
    const [outcome] = await this.setup.store.submit([submission(execution, { unique })]);
    return storedIn(outcome);
  }

  async #set(assignment: string, ...params: SqlValue[]): Promise<void> {
    await this.setup.sql((session) => session.execute(`UPDATE executions SET ${assignment}`, params));
  }
}

/** A piece of output of an execution's attempt. */
export function pieceOf(execution: Execution, sequence: number): OutputPiece {
  const nothing = { droppedBytes: 0, level: "UNSPECIFIED", fieldsJson: "", spanId: "" } as const;
  return { key: keyOf(execution), stream: "STDOUT", sequence, data: Uint8Array.of(7), timeUs: 1_000_000, ...nothing };
}

function storedIn(outcome: SubmitOutcome | undefined): Execution {
  return outcome?.kind === "stored" ? outcome.execution : assert.fail(String(outcome?.kind));
}
