import { assert } from "../../domain/assert.ts";
import type { Execution, StateReason } from "../../domain/execution.ts";
import type { ExecutionId } from "../../domain/identifier.ts";
import { type Gate, JOB_PREFIX, lockGates, makeGates, readLimits, saveGates } from "./gate-row.ts";
import type { SqlSession } from "./session.ts";

/**
 * Rule 7: gates. `job:UID` has room while less than max_concurrency executions
 * of the job hold it and, for an execution whose overlap policy is not ALLOW,
 * while none does. An execution takes its gates when it becomes ready and is
 * admitted, and holds a job's gate until its final state. What finds no room,
 * or finds others waiting, waits; only the admitter lets waiting ones in.
 *
 * Rule 11: a fire that was sent ahead holds its gates before its time. It is no
 * earlier execution: nothing is refused for it. What begins to wait calls it
 * back, and so does what is let in beside it, unless its own policy lets both
 * run: at its time it meets that as an earlier one.
 *
 * Rule 1: gates are locked before executions, in the order of their keys.
 */

/** Waiting ones that are left although there is room are looked at again after this long. */
export const RETRY_ADMISSION_US = 1_000_000;

/** What a gate decides about. */
export type GateUser = Pick<Execution, "gateKeys" | "overlap">;

/** A fire that holds a gate ahead of its time. */
export type AheadFire = Pick<Execution, "executionId" | "overlap">;

/** What becomes of an execution with gates that becomes ready. */
export type GateDecision =
  | { readonly kind: "admitted" }
  | { readonly kind: "waits"; readonly key: string; readonly reason: StateReason }
  | { readonly kind: "skipped"; readonly message: string };

/** Gates that this transaction has locked. Change them, then save. */
export class LockedGates {
  readonly #session: SqlSession;
  readonly #nowUs: number;
  readonly #gates: ReadonlyMap<string, Gate>;
  readonly #cancelling = new Set<string>();
  #ahead: ReadonlyMap<string, AheadFire> = new Map();
  readonly #calledBack = new Set<ExecutionId>();

  private constructor(session: SqlSession, nowUs: number, gates: ReadonlyMap<string, Gate>) {
    this.#session = session;
    this.#nowUs = nowUs;
    this.#gates = gates;
  }

  /** Locks gates in the order of their keys. One that is not there is made, with the limit that its job has. */
  static async lock(session: SqlSession, keys: Iterable<string>): Promise<LockedGates> {
    const sorted = [...new Set(keys)].sort();
    const nowUs = await session.nowUs();
    let gates = await lockGates(session, sorted);
    const missing = sorted.filter((key) => !gates.has(key));
    if (missing.length > 0) {
      await makeGates(session, missing, 0);
      gates = await lockGates(session, sorted);
      await readLimits(session, gates, missing);
    }
    return new LockedGates(session, nowUs, gates);
  }

  /** Decides about an execution that becomes ready now, and counts it. */
  decide(user: GateUser): GateDecision {
    const blocked = this.#firstWithoutRoom(user);
    const queue = user.gateKeys.reduce((sum, key) => sum + this.#gate(key).waiting, 0);
    if (blocked === null && queue === 0) {
      this.take(user.gateKeys);
      this.#callBack(user, ({ overlap }) => overlap !== "ALLOW");
      return { kind: "admitted" };
    }
    const isEarlier = queue > 0 || this.#firstWithoutRoom(user, true) !== null;
    if (isEarlier && (user.overlap === "SKIP" || (user.overlap === "QUEUE_ONE" && queue > 0))) {
      return { kind: "skipped", message: "an earlier execution of the job has not ended" };
    }
    const key = blocked ?? user.gateKeys.find((own) => this.#gate(own).waiting > 0);
    assert(key !== undefined, "one that waits has a gate");
    this.wait(key);
    this.#callBack(user, () => true);
    if (user.overlap === "CANCEL_RUNNING") this.#cancel(user, key);
    if (blocked === null) this.#tryBy(this.#gate(key), this.#nowUs + RETRY_ADMISSION_US);
    return { kind: "waits", key, reason: blocked === null ? "BEHIND_EARLIER" : this.reason(key, user) };
  }

  /** Gates at which one waits by this transaction that cancels what holds them. */
  get cancelling(): readonly string[] {
    return [...this.#cancelling].filter((key) => key.startsWith(JOB_PREFIX)).sort();
  }

  /** Fires that hold gates ahead of their time (rule 11), by gate: they are no earlier ones. */
  know(ahead: ReadonlyMap<string, AheadFire>): void {
    this.#ahead = ahead;
  }

  /** Fires held ahead of their time that are later than what was let in, or waits, by this transaction. */
  get calledBack(): readonly ExecutionId[] {
    return [...this.#calledBack];
  }

  /** Gates of jobs that somebody holds. */
  get heldKeys(): readonly string[] {
    return [...this.#gates.values()].flatMap(({ key, held }) => (held > 0 && key.startsWith(JOB_PREFIX) ? [key] : []));
  }

  /** True while one may wait at a gate that cancels what holds it. */
  cancels(key: string): boolean {
    return this.#gate(key).cancels;
  }

  /** Nobody waits at a gate any more to cancel what holds it. */
  cancelsNoMore(key: string): void {
    this.#change(key, (gate) => {
      gate.cancels = false;
    });
  }

  /** Lets a waiting one in when all its keys have room; else answers the first without. It counts for `waitingKey` till then. */
  admit(user: GateUser, waitingKey: string): string | null {
    const blocked = this.#firstWithoutRoom(user);
    if (blocked === null) {
      this.leave(waitingKey);
      this.take(user.gateKeys);
    } else if (blocked !== waitingKey) {
      this.leave(waitingKey);
      this.wait(blocked);
    }
    if (blocked !== null && user.overlap === "CANCEL_RUNNING") this.#cancel(user, blocked);
    return blocked;
  }

  /** Why one waits at a gate. */
  reason(key: string, user: GateUser): StateReason {
    return user.overlap !== "ALLOW" && this.#gate(key).held > 0 ? "OVERLAP" : "CONCURRENCY_LIMIT";
  }

  /** True when nothing but an earlier execution keeps this one out. */
  hasRoom(user: GateUser): boolean {
    return this.#firstWithoutRoom(user) === null;
  }

  /** Number that waits at a gate. */
  waiting(key: string): number {
    return this.#gate(key).waiting;
  }

  /** Counts one in at each key. */
  take(keys: readonly string[]): void {
    for (const key of keys) this.#change(key, (gate) => gate.held++);
  }

  /** Counts one out at each key; room that others wait for is tried now. */
  give(keys: readonly string[]): void {
    for (const key of keys) {
      this.#change(key, (gate) => {
        gate.held = Math.max(gate.held - 1, 0);
        if (gate.waiting > 0) this.#tryBy(gate, this.#nowUs);
      });
    }
  }

  /** Counts one more that waits at a gate. */
  wait(key: string): void {
    this.#change(key, (gate) => gate.waiting++);
  }

  /** Counts one less that waits at a gate. */
  leave(key: string): void {
    this.#change(key, (gate) => {
      gate.waiting = Math.max(gate.waiting - 1, 0);
      // It may be the one that all others waited behind.
      if (gate.cancels && gate.waiting > 0) this.#tryBy(gate, this.#nowUs);
    });
  }

  /** Says when the admitter looks at a gate again; null when whoever gives room back will say. */
  setTry(key: string, tryUs: number | null): void {
    this.#change(key, (gate) => {
      gate.tryUs = tryUs;
    });
  }

  /** Sets counts as they were found; answers the drift of `held`. */
  recount(key: string, held: number, waiting: number): number {
    const drift = this.#gate(key).held - held;
    this.#change(key, (gate) => {
      gate.held = held;
      gate.waiting = waiting;
      if (waiting > 0) this.#tryBy(gate, this.#nowUs);
    });
    return drift;
  }

  /** Writes what changed. */
  async save(): Promise<void> {
    await saveGates(
      this.#session,
      [...this.#gates.values()].filter((gate) => gate.changed),
    );
  }

  #callBack(user: GateUser, isInWay: (held: AheadFire) => boolean): void {
    for (const own of user.gateKeys) {
      const held = this.#ahead.get(own);
      if (held !== undefined && isInWay(held)) this.#calledBack.add(held.executionId);
    }
  }

  /** The one that waits at `key` has what holds its gates end, and waits there before all others. */
  #cancel(user: GateUser, key: string): void {
    for (const own of user.gateKeys) this.#cancelling.add(own);
    this.#change(key, (gate) => {
      gate.cancels = true;
    });
  }

  /** @param isEarlier what is held ahead of its time is left out */
  #firstWithoutRoom(user: GateUser, isEarlier = false): string | null {
    for (const key of user.gateKeys) {
      const { held: holders, maxConcurrency } = this.#gate(key);
      const held = isEarlier && this.#ahead.has(key) ? holders - 1 : holders;
      const free = user.overlap === "ALLOW" || held === 0;
      if (!free || (maxConcurrency > 0 && held >= maxConcurrency)) return key;
    }
    return null;
  }

  #tryBy(gate: Gate, atUs: number): void {
    gate.tryUs = gate.tryUs === null ? atUs : Math.min(gate.tryUs, atUs);
  }

  #change(key: string, change: (gate: Gate) => void): void {
    const gate = this.#gate(key);
    change(gate);
    gate.changed = true;
  }

  #gate(key: string): Gate {
    const gate = this.#gates.get(key);
    assert(gate !== undefined, `gate ${key} is not locked`);
    return gate;
  }
}
