import type { Registry } from "../common/port/registry.ts";

/** Name that executors register under. */
export const EXECUTOR_NAME = "executor";

/** ExecutorPresence is which executors have their key in the registry, as this scheduler last saw it. */
export class ExecutorPresence {
  readonly #registry: Registry;
  readonly #onChange: (executorIds: ReadonlySet<string>) => void;
  #seen: ReadonlySet<string> | null = null;
  #unwatch: () => void = () => {};

  constructor(registry: Registry, onChange: (executorIds: ReadonlySet<string>) => void) {
    this.#registry = registry;
    this.#onChange = onChange;
  }

  start(): void {
    this.#unwatch = this.#registry.watch(EXECUTOR_NAME, (members) => {
      const seen = new Set(members.map(({ instance }) => instance));
      this.#seen = seen;
      this.#onChange(seen);
    });
  }

  stop(): void {
    this.#unwatch();
  }

  /**
   * executor_ids with a key; null while the registry cannot be asked, or has not answered yet, which says nothing of
   * anybody (rule 14).
   */
  present(): ReadonlySet<string> | null {
    return this.#registry.health().healthy ? this.#seen : null;
  }
}
