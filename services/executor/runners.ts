import type { Capability } from "../common/domain/executor.ts";
import type { Target } from "../common/domain/target.ts";
import type { TargetRunner } from "./target-runner.ts";

/** Runners is what this executor can run, in the order of its profile's capabilities. */
export class Runners {
  readonly #runners: readonly TargetRunner[];
  readonly #places = new Map<string, number>();

  /** Throws TypeError when two of them run the same. */
  constructor(runners: readonly TargetRunner[]) {
    this.#runners = runners;
    for (const [place, { capability }] of runners.entries()) {
      const name = capability.kind === "handler" ? capability.method : capability.kind;
      if (this.#places.has(name)) throw new TypeError(`${name} is given twice`);
      this.#places.set(name, place);
    }
  }

  get capabilities(): readonly Capability[] {
    return this.#runners.map((runner) => runner.capability);
  }

  /** Place of what runs the target; -1 when nothing here does. */
  capabilityOf(target: Target): number {
    return this.#places.get(target.kind === "handler" ? target.method : target.kind) ?? -1;
  }

  at(capability: number): TargetRunner | undefined {
    return this.#runners[capability];
  }
}
