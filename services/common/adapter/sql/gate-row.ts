import type { JobUid } from "../../domain/identifier.ts";
import { overlapNumber } from "./execution-row.ts";
import { parseJobPolicy } from "./job-text.ts";
import { insertRows, updateRows } from "./many-rows.ts";
import { int, intOrNull, text } from "./row-reader.ts";
import type { SqlSession } from "./session.ts";
import { valueLists } from "./value-list.ts";

/** How a gate stands in its row, and how rows are locked, made and written (rule 7). */

/** Begins the key of a job's gate. */
export const JOB_PREFIX = "job:";
/** What `overlap` of a gate has while one waits there that cancels what holds it: the policy's number. */
const CANCELS = overlapNumber("CANCEL_RUNNING");

/** The gate of a job. */
export function jobGateKey(jobUid: JobUid): string {
  return `${JOB_PREFIX}${jobUid}`;
}

/** The job of such a gate. */
export function jobUidOfGate(key: string): JobUid {
  return key.slice(JOB_PREFIX.length) as JobUid;
}

/** A gate that is locked. */
export type Gate = {
  readonly key: string;
  maxConcurrency: number;
  held: number;
  waiting: number;
  tryUs: number | null;
  /** One waits, or waited, here that cancels what holds the gate; the column `overlap`. */
  cancels: boolean;
  changed: boolean;
};

/** Makes gates with a limit where there are none. */
export async function makeGates(session: SqlSession, keys: readonly string[], maxConcurrency: number): Promise<void> {
  const rows = keys.map((key) => [key, 0, 0, maxConcurrency, 0]);
  await insertRows(session, "gates", GATE_COLUMNS, rows, "gate_key");
}

const GATE_COLUMNS = ["gate_key", "held", "waiting", "max_concurrency", "overlap"];

/** Locks those that are there, in the order of their keys, which `keys` has. */
export async function lockGates(session: SqlSession, keys: readonly string[]): Promise<Map<string, Gate>> {
  const gates = new Map<string, Gate>();
  for (const part of valueLists(keys)) {
    const rows = await session.query(
      `SELECT gate_key, held, waiting, try_us, max_concurrency, overlap FROM gates
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
        cancels: int(row, "overlap") === CANCELS,
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
export async function readLimits(
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

/** Writes gates that are locked. */
export async function saveGates(session: SqlSession, gates: readonly Gate[]): Promise<void> {
  await updateRows(
    session,
    { table: "gates", keys: ["gate_key"], set: ["held", "waiting", "try_us", "max_concurrency", "overlap"] },
    gates.map(({ key, held, waiting, tryUs, maxConcurrency, cancels }) => [
      key,
      held,
      waiting,
      tryUs,
      maxConcurrency,
      cancels ? CANCELS : 0,
    ]),
  );
}
