/**
 * What a statement of one transaction does that another transaction can notice, table by table: which orders of two
 * statements are provably the same. Under READ COMMITTED a plain SELECT sees what is committed when it begins, takes no
 * lock and is noticed by nobody; a change is seen by others only through its locks until COMMIT publishes it.
 */
import { tables } from "../../services/common/adapter/sql/entity/tables.ts";

/** Tables by what a statement does with them. */
export type StatementEffect = {
  readonly text: string;
  /** What is committed there is read without a lock. */
  readonly reads: ReadonlySet<string>;
  /** Rows there are locked, or looked at as their locks are. */
  readonly locks: ReadonlySet<string>;
  /** Locks there end. */
  readonly frees: ReadonlySet<string>;
  /** Changes there are seen by others from now on. */
  readonly publishes: ReadonlySet<string>;
};

const NONE: ReadonlySet<string> = new Set();
const NAMES = tables.map(({ name }) => ({
  name,
  pattern: new RegExp(`\\b(?:FROM|(?:STRAIGHT_)?JOIN|INTO|UPDATE)\\s+${name}\\b`),
}));
const CHANGE = /^\s*(?:INSERT|UPDATE|DELETE)\b/;

/** True when one order of two statements of two transactions may come to something else than the other one. */
export function depends(a: StatementEffect, b: StatementEffect): boolean {
  return (
    meets(a.locks, b.locks) ||
    meets(a.locks, b.frees) ||
    meets(a.frees, b.locks) ||
    meets(a.reads, b.publishes) ||
    meets(a.publishes, b.reads)
  );
}

function meets(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  for (const name of a) if (b.has(name)) return true;
  return false;
}

/** Tells what each statement of one connection does, from the statements before it. */
export class StatementReader {
  #isOpen = false;
  #locked = new Set<string>();
  #changed = new Set<string>();

  /** The effect of the next statement, before it runs. */
  read(text: string): StatementEffect {
    if (text === "START TRANSACTION") {
      this.#isOpen = true;
      return this.#end(text, NONE, NONE);
    }
    if (text === "COMMIT" || text === "ROLLBACK") {
      this.#isOpen = false;
      return this.#end(text, this.#locked, text === "COMMIT" ? this.#changed : NONE);
    }
    const named = new Set(NAMES.filter(({ pattern }) => pattern.test(text)).map(({ name }) => name));
    const isChange = CHANGE.test(text);
    const isLocking = isChange || text.includes("FOR UPDATE");
    if (isLocking) for (const name of named) this.#locked.add(name);
    if (isChange) for (const name of named) this.#changed.add(name);
    const own = { text, reads: isLocking ? NONE : named, locks: isLocking ? named : NONE };
    // A change outside a transaction is one of its own.
    return this.#isOpen || !isLocking
      ? { ...own, frees: NONE, publishes: NONE }
      : { ...own, frees: named, publishes: named };
  }

  #end(text: string, frees: ReadonlySet<string>, publishes: ReadonlySet<string>): StatementEffect {
    this.#locked = new Set();
    this.#changed = new Set();
    return { text, reads: NONE, locks: NONE, frees, publishes };
  }
}
