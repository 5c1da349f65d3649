/** Rescuers on a real store in memory, a memory bus, a registry that tests move, and a manual clock. */
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { MemorySchedulerBus } from "../../../services/common/adapter/memory/bus-ends.ts";
import type { Execution } from "../../../services/common/domain/execution.ts";
import type { ExecutorId, SchedulerId } from "../../../services/common/domain/identifier.ts";
import { type Logger, silentLogger } from "../../../services/common/runtime/log.ts";
import { type Hint, Hints } from "../../../services/scheduler/hints.ts";
import { Rescuer, type RescuerConfig } from "../../../services/scheduler/rescue/rescuer.ts";
import { resultRig } from "../scheduler-results/setup.ts";

/** A store with executors, a bus and rescuers. */
export type RescueRig = Awaited<ReturnType<typeof rescueRig>>;

/** `keys` are the executor_ids that the registry shows; null while it cannot be asked. */
export async function rescueRig(t: TestContext) {
  const rig = await resultRig(t);
  const registry: { keys: string[] | null } = { keys: [] };
  return {
    ...rig,
    registry,
    rescuer: async (options: Partial<RescuerConfig> & { readonly log?: Logger } = {}) => {
      const { log = silentLogger, ...config } = options;
      const bus = new MemorySchedulerBus(rig.bus, rig.clock);
      await bus.start();
      const hints = new Hints();
      const told: Hint[] = [];
      for (const kind of ["ready", "due", "ended"] as const) hints.on(kind, (hint) => void told.push(hint));
      const executors = { present: () => (registry.keys === null ? null : new Set(registry.keys)) };
      const { store, clock } = rig;
      const rescuer = new Rescuer(
        { store, bus, executors, hints, clock, log },
        {
          heartbeatMs: 1_000,
          leaseMs: 5_000,
          sessionLeaseMs: 45_000,
          marginMs: 1_000,
          maxBatchRows: 500,
          busWaitMs: 30_000,
          unjudged: () => false,
          ...config,
        },
      );
      rig.stops.push(async () => {
        await rescuer.stop();
        await bus.stop();
      });
      return { rescuer, told };
    },
    /** A beat of the executor that has these. */
    beat: async (executions: readonly Execution[]) => {
      const { executorId, incarnation } = executorOf(executions);
      const beat = {
        executorId,
        incarnation,
        sessionNumber: 1,
        freeSlots: 0,
        cpuLoad: 0,
        memoryBytes: 0,
        draining: false,
      };
      assert.equal((await rig.store.executors.beat("s-1" as SchedulerId, [beat])).length, 1);
    },
    /** Declares the executor that has these lost, as another rescuer would. */
    declareLost: async (executions: readonly Execution[]) => {
      const { executorId, incarnation } = executorOf(executions);
      const record = (await rig.store.executors.live()).find((one) => one.executorId === executorId);
      assert.ok(record !== undefined);
      assert.equal(await rig.store.executors.declareLost(executorId, incarnation, record.heardUs), true);
    },
    isLive: async (executorId: ExecutorId) =>
      (await rig.store.executors.live()).some((record) => record.executorId === executorId),
  };
}

/** The executor that has these. */
export function executorOf(executions: readonly Execution[]) {
  const [first] = executions;
  const { executorId, incarnation } = first ?? assert.fail();
  if (executorId === null || incarnation === null) assert.fail("it was dispatched");
  return { executorId, incarnation };
}
