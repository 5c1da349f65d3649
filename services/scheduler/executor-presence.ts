import type { Registry } from "../common/port/registry.ts";

/** Name that executors register under. */
export const EXECUTOR_NAME = "executor";

/**
 * ExecutorPresence is which executors have their key in the registry, as this scheduler last saw it. A key is its
 * incarnation's: that of the process which came after proves nothing of the one before (rules 14 and 23).
 */
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
      this.#seen = new Set(
        members.map(({ instance, metadata: { incarnation } }) =>
          incarnation === undefined ? instance : `${instance}/${incarnation}`,
        ),
      );
      this.#onChange(new Set(members.map(({ instance }) => instance)));
    });
  }

  stop(): void {
    this.#unwatch();
  }

  /**
   * "executor_id/incarnation" of those with a key, the executor_id alone where a key names none; null while the registry cannot be asked, or has not answered yet, which says nothing of
   * anybody (rule 14).
   */
  present(): ReadonlySet<string> | null {
    return this.#registry.health().healthy ? this.#seen : null;
  }
}
