import { assert } from "../../domain/assert.ts";
import type { Execution, StateReason } from "../../domain/execution.ts";
import type { JobUid } from "../../domain/identifier.ts";
import { parseJobPolicy } from "./job-text.ts";
import { insertRows, updateRows } from "./many-rows.ts";
import { int, intOrNull, text } from "./row-reader.ts";
import type { SqlSession } from "./session.ts";
import { valueLists } from "./value-list.ts";

/**
 * Rule 7: gates. `job:UID` has room while less than max_concurrency executions
 * of the job hold it and, for an execution whose overlap policy is not ALLOW,
 * while none does. An execution takes its gates when it becomes ready and is
 * admitted, and holds a job's gate until its final state. What finds no room,
 * or finds others waiting, waits; only the admitter lets waiting ones in.
 *
 * Rule 1: gates are locked before executions, in the order of their keys.
 */

/** Waiting ones that are left although there is room are looked at again after this long. */
export const RETRY_ADMISSION_US = 1_000_000;

const JOB_PREFIX = "job:";

/** The gate of a job. */
export function jobGateKey(jobUid: JobUid): string {
  return `${JOB_PREFIX}${jobUid}`;
}

/** What a gate decides about. */
export type GateUser = Pick<Execution, "gateKeys" | "overlap">;

/** What becomes of an execution with gates that becomes ready. */
export type GateDecision =
  | { readonly kind: "admitted" }
  | { readonly kind: "waits"; readonly key: string; readonly reason: StateReason }
  | { readonly kind: "skipped"; readonly message: string };

type Gate = {
  readonly key: string;
  maxConcurrency: number;
  held: number;
  waiting: number;
  tryUs: number | null;
  changed: boolean;
};

/** Gates that this transaction has locked. Change them, then save. */
export class LockedGates {
  readonly #session: SqlSession;
  readonly #nowUs: number;
  readonly #gates: ReadonlyMap<string, Gate>;
  readonly #cancelling = new Set<string>();

  private constructor(session: SqlSession, nowUs: number, gates: ReadonlyMap<string, Gate>) {
    this.#session = session;
    this.#nowUs = nowUs;
    this.#gates = gates;
  }

  /** Locks gates in the order of their keys. One that is not there is made, with the limit that its job has. */
  static async lock(session: SqlSession, keys: Iterable<string>): Promise<LockedGates> {
    const sorted = [...new Set(keys)].sort();
    const nowUs = await session.nowUs();
    let gates = await lockRows(session, sorted);
    const missing = sorted.filter((key) => !gates.has(key));
    if (missing.length > 0) {
      const rows = missing.map((key) => [key, 0, 0, 0, 0]);
      await insertRows(session, "gates", GATE_COLUMNS, rows, "gate_key");
      gates = await lockRows(session, sorted);
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
      return { kind: "admitted" };
    }
    if (user.overlap === "SKIP" || (user.overlap === "QUEUE_ONE" && queue > 0)) {
      return { kind: "skipped", message: "an earlier execution of the job has not ended" };
    }
    const key = blocked ?? user.gateKeys.find((own) => this.#gate(own).waiting > 0);
    assert(key !== undefined, "one that waits has a gate");
    this.wait(key);
    if (user.overlap === "CANCEL_RUNNING") for (const own of user.gateKeys) this.#cancelling.add(own);
    if (blocked === null) this.#tryBy(this.#gate(key), this.#nowUs + RETRY_ADMISSION_US);
    return { kind: "waits", key, reason: blocked === null ? "BEHIND_EARLIER" : this.reason(key, user) };
  }

  /** Gates at which one waits by this transaction that cancels what holds them. */
  get cancelling(): readonly string[] {
    return [...this.#cancelling].filter((key) => key.startsWith(JOB_PREFIX)).sort();
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
    const changed = [...this.#gates.values()].filter((gate) => gate.changed);
    if (changed.length === 0) return;
    await updateRows(
      this.#session,
      { table: "gates", keys: ["gate_key"], set: ["held", "waiting", "try_us", "max_concurrency"] },
      changed.map((gate) => [gate.key, gate.held, gate.waiting, gate.tryUs, gate.maxConcurrency]),
    );
  }

  #firstWithoutRoom(user: GateUser): string | null {
    for (const key of user.gateKeys) {
      const { held, maxConcurrency } = this.#gate(key);
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

/** Makes a gate with a limit where there is none. */
export async function makeGate(session: SqlSession, key: string, maxConcurrency: number): Promise<void> {
  await insertRows(session, "gates", GATE_COLUMNS, [[key, 0, 0, maxConcurrency, 0]], "gate_key");
}

const GATE_COLUMNS = ["gate_key", "held", "waiting", "max_concurrency", "overlap"];

async function lockRows(session: SqlSession, keys: readonly string[]): Promise<Map<string, Gate>> {
  const gates = new Map<string, Gate>();
  for (const part of valueLists(keys)) {
    const rows = await session.query(
      `SELECT gate_key, held, waiting, try_us, max_concurrency FROM gates
        WHERE gate_key IN (${part.sql}) ORDER BY gate_key${session.dialect.forUpdate}`,
      part.values,
    );
    for (const row of rows) {
      gates.set(text(row, "gate_key"), {
        key: text(row, "gate_key"),
        maxConcurrency: int(row, "max_concurrency"),
        held: int(row, "held"),
        waiting: int(row, "waiting"),
        tryUs: intOrNull(row, "try_us"),
        changed: false,
      });
    }
  }
  return gates;
}

/**
 * The limits of gates that were made just now. A change of the job that came
 * first is seen here; one that comes later waits for the gate and sets it.
 */
async function readLimits(
  session: SqlSession,
  gates: ReadonlyMap<string, Gate>,
  keys: readonly string[],
): Promise<void> {
  const uids = keys.filter((key) => key.startsWith(JOB_PREFIX)).map((key) => key.slice(JOB_PREFIX.length));
  for (const list of valueLists(uids)) {
    const rows = await session.query(`SELECT job_uid, policy FROM jobs WHERE job_uid IN (${list.sql})`, list.values);
    for (const row of rows) {
      const gate = gates.get(jobGateKey(text(row, "job_uid") as JobUid));
      if (gate === undefined) continue;
      gate.maxConcurrency = parseJobPolicy(text(row, "policy")).maxConcurrency;
      gate.changed = true;
    }
  }
}
