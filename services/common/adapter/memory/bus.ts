import type { ExecutionChange, ExecutorBus, SchedulerBus } from "../../port/bus.ts";
import type { Clock } from "../../port/clock.ts";
import { MemoryExecutorBus, MemorySchedulerBus } from "./bus-ends.ts";
import { type MemoryBusConfig, MemoryTopics } from "./bus-topics.ts";

export { type MemoryBusConfig, memoryBusDefaults } from "./bus-topics.ts";

/**
 * MemoryBus is both topics inside one process, for the simulator and for tests:
 * `scheduler()` and `executor()` give each process of a simulated mesh its own
 * end. `away` cuts everybody off, `remakeResults` loses the result topic.
 */
export class MemoryBus {
  readonly #clock: Clock;
  readonly #topics: MemoryTopics;

  constructor(clock: Clock, config: Partial<MemoryBusConfig> = {}) {
    this.#clock = clock;
    this.#topics = new MemoryTopics(clock, config);
  }

  /** A scheduler's end. */
  scheduler(): SchedulerBus {
    return new MemorySchedulerBus(this.#topics, this.#clock);
  }

  /** An executor's end. */
  executor(): ExecutorBus {
    return new MemoryExecutorBus(this.#topics, this.#clock);
  }

  /** Changes of executions that were written and are kept, oldest first. */
  get changes(): readonly ExecutionChange[] {
    return this.#topics.changes;
  }

  /** While true no send is taken and nothing is read. */
  get away(): boolean {
    return this.#topics.away;
  }

  set away(away: boolean) {
    this.#topics.away = away;
  }

  /** Rule 27: the result topic is deleted and made anew; its offsets begin at 0. */
  remakeResults(): void {
    this.#topics.remakeResults();
  }
}
