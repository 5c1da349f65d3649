/**
 * The rows that two transactions meet at: one job with one gate, one executor with one route, and an execution in the
 * state that a transaction is about. What two kinds are about in the same state is the same execution.
 */
import assert from "node:assert/strict";
import { tables } from "../../services/common/adapter/sql/entity/tables.ts";
import { jobGateKey } from "../../services/common/adapter/sql/gate-row.ts";
import { SqlJobStore } from "../../services/common/adapter/sql/jobs.ts";
import { SqlOffsetStore } from "../../services/common/adapter/sql/offsets.ts";
import { SqlOutputStore } from "../../services/common/adapter/sql/output.ts";
import type { SqlValue } from "../../services/common/adapter/sql/session.ts";
import type { OutputPiece } from "../../services/common/domain/attempt.ts";
import type { Execution, NewExecution } from "../../services/common/domain/execution.ts";
import type { JobUid } from "../../services/common/domain/identifier.ts";
import type { Job } from "../../services/common/domain/job.ts";
import { defaultPolicy, type ExecutionPolicy } from "../../services/common/domain/policy.ts";
import { uniqueKey } from "../../services/common/domain/unique-key.ts";
import type { Placement, SubmitOutcome } from "../../services/common/port/store-executions.ts";
import {
  addExecutor,
  failed,
  keyOf,
  newExecution,
  resultOf,
  routeId,
  routeTextOfAll,
  type StoreSetup,
  slots,
  submission,
  succeeded,
} from "./execution-store.ts";
import { createRequest, newJob } from "./store-records.ts";

/** States that a transaction is about: `due` is a fire whose time has come, `retry` waits after an attempt that failed. */
export type TargetState = "ready" | "waiting" | "running" | "retry" | "due" | "ended";

/** What the rows are to be. */
export type WorldNeeds = {
  readonly targets: ReadonlySet<TargetState>;
  /** The target carries the unique key. */
  readonly hasKey: boolean;
  /** What waits is past its start deadline. */
  readonly isPast: boolean;
  /** The job is gone. */
  readonly isJobGone: boolean;
};

const UID = "33333333-3333-4333-8333-333333333333" as JobUid;
/** Tables that nothing here writes. */
const UNUSED = new Set(["descriptors", "descriptor_methods", "feeds", "mesh"]);
const NOMINAL_US = 1_700_000_000_000_000;
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
      ...more,
    });
  }

  get aJob(): Job {
    return this.job ?? assert.fail("no job");
  }

  get aPlacement(): Placement {
    return this.placement ?? assert.fail("no executor");
  }

  get nominalUs(): number {
    return NOMINAL_US;
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

  async #fill({ targets, hasKey, isPast, isJobGone }: WorldNeeds): Promise<void> {
    this.placement = await addExecutor(this.setup);
    const holders = (["running", "retry", "ready"] as const).filter((state) => targets.has(state));
    const policy = { ...defaultPolicy, maxConcurrency: Math.max(holders.length, 1) };
    const draft = newJob({ namespace: "default", jobId: "shared", jobUid: UID, nextFireUs: NOMINAL_US, policy });
    const created = await this.jobs.create(draft, createRequest(draft));
    this.job = created.kind === "created" ? created.job : assert.fail(created.kind);
    await new SqlOffsetStore(this.setup.database).read(1);
    await this.setup.sql((session) =>
      session.execute("INSERT INTO routes (route_id, text) VALUES (?, ?)", [routeId, routeTextOfAll]),
    );
    let key = hasKey;
    const keyed = (): boolean => {
      const mine = key;
      key = false;
      return mine;
    };
    if (targets.has("ended")) this.targets.set("ended", await this.#ended());
    for (const state of holders) this.targets.set(state, await this.#holder(state, keyed()));
    if (targets.has("due")) this.targets.set("due", await this.#due(keyed()));
    if (targets.has("waiting")) this.targets.set("waiting", await this.#waiting(holders.length === 0, keyed()));
    if (isPast) await this.#set("start_deadline_us = 1 WHERE state IN (1, 2)");
    if (isJobGone) await this.jobs.delete("default", "shared", null);
  }

  async #holder(state: "running" | "retry" | "ready", hasKey: boolean): Promise<Execution> {
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

  async #due(hasKey: boolean): Promise<Execution> {
    const fire = { cause: "SCHEDULE", overlap: "QUEUE_ONE", scheduledUs: NOMINAL_US - 1_000_000 } as const;
    const due = await this.#submit(this.gated({ ...fire, readyUs: Date.now() * 1_000 + 3_600_000_000 }), hasKey);
    await this.#set("ready_us = 1 WHERE execution_id = ?", due.executionId);
    await this.setup.sql((session) => session.execute("UPDATE jobs SET fire_count = 1"));
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
