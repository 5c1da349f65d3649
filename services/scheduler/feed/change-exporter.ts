import { type Execution, isFinal } from "../../common/domain/execution.ts";
import type { ExecutionId } from "../../common/domain/identifier.ts";
import type { SchedulerBus } from "../../common/port/bus.ts";
import type { Clock } from "../../common/port/clock.ts";
import type { Store } from "../../common/port/store.ts";
import type { Logger } from "../../common/runtime/log.ts";
import type { Hints } from "../hints.ts";
import type { MeshClock } from "../mesh-clock.ts";
import { WakeableLoop } from "../wakeable-loop.ts";

/** Changed executions that wait to be read; more are left out. */
const MAX_HEARD = 10_000;
/** Executions read in one query, and written at once. */
const MAX_ROWS = 500;

/** What a ChangeExporter is given. */
export type ChangeExporterDeps = {
  readonly store: Store;
  readonly bus: SchedulerBus;
  readonly hints: Hints;
  readonly meshClock: MeshClock;
  readonly clock: Clock;
  readonly log: Logger;
  /** The executions with the reasons why they wait. */
  readonly explain: (store: Store, executions: readonly Execution[]) => Promise<readonly Execution[]>;
};

/**
 * Rule 34: states in between are written to execution.v1 as they are seen, each
 * by the scheduler that made the change: what cannot be read or written is left
 * out and not tried again. Ends are the EndedExporter's.
 */
export class ChangeExporter {
  readonly #deps: ChangeExporterDeps;
  readonly #loop: WakeableLoop;
  /** When each was last heard to change, mesh time. */
  readonly #heard = new Map<ExecutionId, number>();
  #unlisten: () => void = () => {};

  constructor(deps: ChangeExporterDeps) {
    this.#deps = deps;
    const run = () => this.runOnce();
    this.#loop = new WakeableLoop(deps.clock, deps.log, { name: "change events", intervalMs: null, run });
  }

  start(): void {
    const { hints, meshClock } = this.#deps;
    this.#unlisten = hints.on("moved", ({ executionIds }) => {
      const nowUs = meshClock.nowUs();
      for (const executionId of executionIds) {
        if (this.#heard.size < MAX_HEARD || this.#heard.has(executionId)) this.#heard.set(executionId, nowUs);
      }
      this.#loop.wake();
    });
    this.#loop.start();
  }

  async stop(): Promise<void> {
    this.#unlisten();
    await this.#loop.stop();
  }

  /** Writes one batch of what was heard; true when there is more. */
  async runOnce(): Promise<boolean> {
    const { store, bus, explain } = this.#deps;
    const times = this.#take();
    if (times.size === 0) return false;
    try {
      const executions = await explain(store, await store.feed.read([...times.keys()], false));
      const moved = executions.filter(({ state }) => !isFinal(state));
      await Promise.all(
        moved.map((execution) =>
          bus.sendExecution({ execution, timeUs: times.get(execution.executionId) ?? execution.createUs }),
        ),
      );
    } catch (error) {
      // What has changed meanwhile has mostly changed again by the time that it could be written.
      this.#heard.clear();
      throw error;
    }
    return this.#heard.size > 0;
  }

  #take(): ReadonlyMap<ExecutionId, number> {
    const taken = new Map<ExecutionId, number>();
    for (const [executionId, heardUs] of this.#heard) {
      if (taken.size === MAX_ROWS) break;
      taken.set(executionId, heardUs);
      this.#heard.delete(executionId);
    }
    return taken;
  }
}
