/** Faults that last, and what ends each: in its time, or when the storm is over. */
import type { Surroundings } from "./node-parts.ts";

/** Healings ends what was begun. */
export class Healings {
  readonly #around: Pick<Surroundings, "timeline" | "history">;
  readonly #pending = new Set<() => void>();

  constructor(around: Pick<Surroundings, "timeline" | "history">) {
    this.#around = around;
  }

  /** Ends everything that lasts. */
  all(): void {
    for (const healing of [...this.#pending]) healing();
  }

  /** Ends something after a while, or with the storm. */
  later(lastsMs: number, heal: () => void): void {
    const once = (): void => {
      if (!this.#pending.delete(once)) return;
      heal();
    };
    this.#pending.add(once);
    this.#around.timeline.after(lastsMs, once);
  }

  /** Sets fields for a while. */
  set<T extends object>(
    what: string,
    target: T,
    fields: Partial<T>,
    lastsMs: number,
    after: () => void = () => {},
  ): void {
    const before = Object.fromEntries(Object.keys(fields).map((name) => [name, target[name as keyof T]]));
    this.#around.history.note("mesh", `${what} for ${Math.round(lastsMs)} ms ${JSON.stringify(fields)}`);
    Object.assign(target, fields);
    this.later(lastsMs, () => {
      Object.assign(target, calm(before));
      after();
    });
  }
}

/** Nothing is wrong any more, even where two faults of a kind had overlapped. */
function calm(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name, typeof value === "boolean" ? false : 0]),
  );
}
