/** Random faults on a whole mesh, from a seed, so that a failure can be run again. */
import assert from "node:assert/strict";
import { LostPolicy } from "../../../gen/jobmesh/v1/job.ts";
import { type ExecutionState, isFinal } from "../../../services/common/domain/execution.ts";
import type { ExecutionId } from "../../../services/common/domain/identifier.ts";
import { defaultPolicy } from "../../../services/common/domain/policy.ts";
import type { MeshRig, TestExecutor, TestScheduler } from "./setup.ts";

/** What a storm may do, and with what. */
export type StormOptions = {
  /** FAIL: nobody may run a second time but for what an executor handed back. */
  readonly lostPolicy: "FAIL" | "RETRY";
  /** Longest time between two faults, milliseconds. */
  readonly maxStepMs: number;
  /** A way that is cut takes the executor's key in the registry along. */
  readonly cutsKeys: boolean;
};

const shortStorm: StormOptions = { lostPolicy: "FAIL", maxStepMs: 700, cutsKeys: false };
/** Few enough that each is used by several calls, at the same time and later, at any scheduler. */
const REQUESTS = 40;

/** Storm does to a mesh what happens to meshes. */
export class Storm {
  readonly ids = new Set<ExecutionId>();
  readonly #mesh: MeshRig;
  readonly #executors: readonly TestExecutor[];
  readonly #draw: (below: number) => number;
  readonly #options: StormOptions;
  readonly #requests = new Map<string, ExecutionId>();

  constructor(mesh: MeshRig, executors: readonly TestExecutor[], seed: number, options: StormOptions = shortStorm) {
    this.#options = options;
    this.#mesh = mesh;
    this.#executors = executors;
    this.#draw = seeded(seed);
  }

  /** So many faults, one after the other. */
  async rage(turns: number): Promise<void> {
    const steps = [
      () => this.#submit(3),
      () => this.#submit(6),
      () => this.#askAll(),
      () => this.#finish(),
      () => this.#finish(),
      () => this.#outage(),
      () => this.#bus(),
      () => this.#break(),
      () => this.#cut(),
      () => this.#kill(),
      () => this.#cancel(),
    ];
    for (let turn = 0; turn < turns; turn += 1) {
      await steps[this.#draw(steps.length)]?.();
      await this.#mesh.clock.advance(this.#draw(this.#options.maxStepMs));
    }
  }

  /** Everything is well again, and all that runs ends. */
  async calm(): Promise<void> {
    const { outage, bus, clock } = this.#mesh;
    outage.away = false;
    if (bus !== null) bus.away = false;
    for (const executor of this.#executors) this.#setCut(executor, false);
    for (let seconds = 0; seconds < 40; seconds += 1) {
      for (const { started } of this.#executors) for (const { end } of started) end.resolve(new Uint8Array());
      await clock.advance(1_000);
    }
  }

  /** How many executions ended as what. */
  async ends(): Promise<ReadonlyMap<ExecutionState, number>> {
    const states = new Map<ExecutionState, number>();
    for (const id of this.ids) {
      const { state } = await this.#mesh.get(id);
      assert.ok(isFinal(state), `${id} has ended; is ${state}`);
      states.set(state, (states.get(state) ?? 0) + 1);
    }
    return states;
  }

  async #submit(most: number): Promise<void> {
    if (this.#mesh.outage.away) return;
    const policy = { ...defaultPolicy, lostPolicy: this.#options.lostPolicy, maxLosses: 1_000 };
    for (const id of await this.#mesh.submit(1 + this.#draw(most), { policy })) this.ids.add(id);
  }

  /** An error is no promise; an answer is one. */
  #askAll(): void {
    for (let count = 1 + this.#draw(4); count > 0; count -= 1) {
      const requestId = `request-${this.#draw(REQUESTS)}`;
      const lostPolicy = LostPolicy[`LOST_POLICY_${this.#options.lostPolicy}`];
      const input = { policy: { lostPolicy, maxLosses: 1_000 }, requestId };
      this.#living()
        .submit(input)
        .then(
          (id) => this.#answered(requestId, id),
          () => {},
        );
    }
  }

  #answered(requestId: string, id: ExecutionId): void {
    this.ids.add(id);
    assert.equal(this.#requests.get(requestId) ?? id, id, "a request_id has one execution");
    this.#requests.set(requestId, id);
  }

  #finish(): void {
    for (const { started } of this.#executors) {
      for (const { end } of started.slice(-8)) if (this.#draw(2) === 0) end.resolve(new Uint8Array());
    }
  }

  #outage(): void {
    this.#mesh.outage.away = this.#draw(3) === 0;
  }

  #bus(): void {
    if (this.#mesh.bus !== null) this.#mesh.bus.away = this.#draw(3) === 0;
  }

  #break(): void {
    for (const link of this.#living().links) link.drop();
  }

  #cut(): void {
    const executor = this.#executors[this.#draw(this.#executors.length)];
    if (executor !== undefined) this.#setCut(executor, this.#draw(3) === 0);
  }

  #setCut(executor: TestExecutor, cut: boolean): void {
    const { registry } = this.#mesh;
    executor.way.cut = cut;
    if (!this.#options.cutsKeys) return;
    const { executorId } = executor;
    const { incarnation } = executor.executor.status;
    const member = { name: "executor", instance: executorId, address: "", metadata: { incarnation } };
    if (cut) registry.members.delete(`executor/${executorId}`);
    else registry.members.set(`executor/${executorId}`, member);
    registry.tell();
  }

  async #kill(): Promise<void> {
    const { outage, bus, schedulers } = this.#mesh;
    if (outage.away || bus?.away === true || this.#draw(3) > 0) return;
    this.#living().kill();
    await this.#mesh.scheduler(`s-${schedulers.length + 1}`);
  }

  async #cancel(): Promise<void> {
    const id = [...this.ids][this.#draw(this.ids.size)];
    if (id !== undefined && !this.#mesh.outage.away) await this.#mesh.store.executions.requestStop(id, "CANCEL", "");
  }

  #living(): TestScheduler {
    const alive = this.#mesh.schedulers.filter((one) => one.alive);
    return alive[this.#draw(alive.length)] ?? assert.fail("one lives");
  }
}

/** Whole numbers from 0 to below the bound, the same for a seed each time. */
function seeded(seed: number): (below: number) => number {
  let state = Math.imul(seed, 0x9e3779b1);
  return (below) => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) | 0;
    const mixed = Math.imul(state ^ (state >>> 13), 0x297a2d39);
    return ((mixed ^ (mixed >>> 16)) >>> 0) % Math.max(below, 1);
  };
}
