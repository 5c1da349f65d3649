/** Random operations on a store of executions, from a seed, so that a failure can be run again. */
import assert from "node:assert/strict";
import type { AttemptOutcome } from "../../services/common/domain/attempt.ts";
import type { NewExecution } from "../../services/common/domain/execution.ts";
import { type AttemptKey, type ExecutionId, type Fence, keyText } from "../../services/common/domain/identifier.ts";
import { defaultPolicy } from "../../services/common/domain/policy.ts";
import type { Placement } from "../../services/common/port/store-executions.ts";
import {
  addExecutor,
  failed,
  newExecution,
  resultOf,
  routeId,
  type StoreSetup,
  slot,
  slots,
  submission,
  succeeded,
} from "./execution-store.ts";

const OUTCOMES: readonly AttemptOutcome[] = [
  succeeded,
  { kind: "succeeded", result: Uint8Array.of(1, 2) },
  failed(),
  { kind: "timed_out", failure: { code: 4, message: "late", reason: "" } },
  { kind: "cancelled", failure: { code: 1, message: "stopped", reason: "" } },
  { kind: "returned", reason: "NOT_STARTED", message: "no slot" },
  { kind: "returned", reason: "CUT_OFF", message: "shutdown" },
  { kind: "returned", reason: "UNKNOWN", message: "" },
];
const OVERLAPS = ["ALLOW", "SKIP", "QUEUE_ONE", "QUEUE_ALL", "CANCEL_RUNNING"] as const;
const GATES = ["job:aaaaaaaa-0000-4000-8000-000000000000", "job:bbbbbbbb-0000-4000-8000-000000000000"];

/** What workers share, so that they meet at the same executions. */
export type SharedWork = {
  readonly ids: ExecutionId[];
  /** Keys that were handed out, current or not. */
  readonly keys: AttemptKey[];
  /** Keys whose result was applied. */
  readonly applied: Set<string>;
};

/** Nothing shared yet. */
export function sharedWork(): SharedWork {
  return { ids: [], keys: [], applied: new Set() };
}

/** A worker that does what schedulers do, in random order. */
export class RandomWork {
  readonly #setup: StoreSetup;
  readonly #random: () => number;
  readonly #shared: SharedWork;
  #placements: Placement[] = [];
  #lives = 0;
  readonly #name: string;

  constructor(setup: StoreSetup, seed: number, shared: SharedWork = sharedWork()) {
    this.#setup = setup;
    this.#random = seeded(seed);
    this.#shared = shared;
    this.#name = `executor-${seed}`;
  }

  /** One random operation. */
  async step(): Promise<void> {
    const steps = [
      () => this.#submit(),
      () => this.#claim(),
      () => this.#claim(),
      () => this.#report(),
      () => this.#report(),
      () => this.#stop(),
      () => this.#start(),
      () => this.#timers(),
      () => this.#setup.store.admit(5),
      () => this.#expire(),
      () => (this.#random() < 0.3 ? this.#lose() : this.#report()),
    ];
    await this.#pick(steps)();
  }

  async #submit(): Promise<void> {
    const group = Array.from({ length: 1 + this.#below(6) }, () => {
      const execution = this.#newExecution();
      this.#shared.ids.push(execution.executionId);
      const placement = this.#placements.at(-1);
      return submission(execution, placement !== undefined && this.#random() < 0.5 ? { slot: slot(placement) } : {});
    });
    for (const outcome of await this.#setup.store.submit(group)) {
      assert.equal(outcome.kind, "stored");
      this.#remember(outcome.execution);
    }
  }

  #newExecution(): NewExecution {
    const retry = {
      ...defaultPolicy.retry,
      maxAttempts: 1 + this.#below(3),
      initialIntervalMs: this.#pick([0, 60_000]),
      maxDurationMs: this.#pick([null, null, 3_600_000]),
    };
    const limits = { startDeadlineMs: this.#pick([null, 3_600_000]), retentionMs: this.#pick([null, 60_000]) };
    const lostPolicy = this.#pick(["RETRY", "FAIL"] as const);
    const base = newExecution({
      policy: { ...defaultPolicy, ...limits, priority: this.#below(3), retry, lostPolicy },
    });
    return {
      ...base,
      readyUs: base.readyUs + this.#pick([0, 0, 60_000_000]),
      gateKeys: this.#random() < 0.5 ? [this.#pick(GATES)] : [],
      overlap: this.#pick(OVERLAPS),
    };
  }

  async #claim(): Promise<void> {
    if (this.#placements.length === 0) this.#placements.push(await addExecutor(this.#setup, this.#nextLife()));
    const placement = this.#pick(this.#placements);
    const wanted = slots(placement, 1 + this.#below(4));
    const fences = new Set(wanted.map(({ fence }) => fence));
    for (const execution of await this.#setup.store.claim({ routeId, slots: wanted })) {
      assert.ok(execution.fence !== null && fences.has(execution.fence));
      this.#remember(execution);
    }
  }

  /** Results under current, ended and wrong keys; none is applied twice. */
  async #report(): Promise<void> {
    const keys = Array.from({ length: 1 + this.#below(5) }, () => this.#key()).filter((key) => key !== null);
    const results = keys.map((key) =>
      resultOf(
        { executionId: key.executionId, attempt: key.attempt, fence: key.fence } as Parameters<typeof resultOf>[0],
        this.#pick(OUTCOMES),
      ),
    );
    const stored = await this.#setup.store.storeResults(results, null);
    assert.equal(stored.kind, "stored");
    for (const { key, applied } of stored.results) {
      if (!applied) continue;
      assert.ok(!this.#shared.applied.has(keyText(key)), "a result is applied once");
      this.#shared.applied.add(keyText(key));
    }
  }

  async #stop(): Promise<void> {
    const key = this.#key();
    const id = this.#shared.ids.length > 0 && this.#random() < 0.5 ? this.#pick(this.#shared.ids) : key?.executionId;
    if (id !== undefined) await this.#setup.store.requestStop(id, this.#pick(["CANCEL", "CANCEL", "PAUSED"]), "random");
    if (key !== null) await this.#setup.store.stopAttempt(key, this.#pick(["TIMEOUT", "REROUTE"]), "random");
  }

  async #start(): Promise<void> {
    const keys = Array.from({ length: 3 }, () => this.#key()).filter((key) => key !== null);
    await this.#setup.store.markStarted(keys.map((key) => ({ key, startUs: 1_000 + this.#below(1_000) })));
  }

  async #timers(): Promise<void> {
    const ids = this.#shared.ids.filter(() => this.#random() < 0.3);
    for (const id of ids.toSorted()) {
      await this.#setup.sql((session) =>
        session.execute("UPDATE executions SET ready_us = 1 WHERE execution_id = ? AND state = 1", [id]),
      );
    }
    await this.#setup.store.makeReady(ids);
  }

  /** Lets start deadlines of some pass, whatever they do, and ends those that wait. */
  async #expire(): Promise<void> {
    for (const id of this.#shared.ids.filter(() => this.#random() < 0.1).toSorted()) {
      await this.#setup.sql((session) =>
        session.execute(
          "UPDATE executions SET start_deadline_us = 2 WHERE execution_id = ? AND start_deadline_us IS NOT NULL",
          [id],
        ),
      );
    }
    for (const { state } of await this.#setup.store.expire(5)) {
      assert.ok(["EXPIRED", "FAILED", "TIMED_OUT"].includes(state), state);
    }
  }

  async #lose(): Promise<void> {
    const placement = this.#placements.shift();
    if (placement === undefined) return;
    const { executorId, incarnation } = placement;
    await this.#setup.sql((session) =>
      session.execute("UPDATE executors SET lost_us = 2 WHERE executor_id = ?", [executorId]),
    );
    await this.#setup.store.endLost(executorId, incarnation, 100);
  }

  /** A key that was handed out, sometimes spoilt. */
  #key(): AttemptKey | null {
    if (this.#shared.keys.length === 0) return null;
    const key = this.#pick(this.#shared.keys);
    if (this.#random() < 0.1) return { ...key, fence: (key.fence ^ 1n) as Fence };
    return this.#random() < 0.1 ? { ...key, attempt: key.attempt + 1 } : key;
  }

  #remember({ executionId, attempt, fence }: { executionId: ExecutionId; attempt: number; fence: Fence | null }): void {
    if (fence !== null) this.#shared.keys.push({ executionId, attempt, fence });
  }

  #nextLife(): string {
    this.#lives++;
    return `${this.#name}-${this.#lives}`;
  }

  #pick<T>(values: readonly T[]): T {
    const value = values[this.#below(values.length)];
    assert.ok(value !== undefined);
    return value;
  }

  #below(count: number): number {
    return Math.floor(this.#random() * count);
  }
}

/** Numbers in [0, 1) from a seed (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
