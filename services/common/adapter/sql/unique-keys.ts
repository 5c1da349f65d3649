import { assert } from "../../domain/assert.ts";
import type { Execution } from "../../domain/execution.ts";
import type { ExecutionId } from "../../domain/identifier.ts";
import { StoreUnavailable } from "../../port/store.ts";
import type { Submission } from "../../port/store-executions.ts";
import type { NewRow } from "./execution-insert.ts";
import { executionOf, FULL_COLUMNS, gateKeysOf } from "./execution-row.ts";
import { lockExecutions } from "./locked-executions.ts";
import { text, textOrNull } from "./row-reader.ts";
import type { SqlSession } from "./session.ts";
import { valueLists } from "./value-list.ts";

/**
 * Rule 5: at most one execution of a namespace that has not ended carries a
 * unique_key. The column holds its hash till the end and is UNIQUE, so that the
 * engine decides. Those that carry the keys of a group are read first; those
 * that are to be replaced are locked after the gates, in the order of their
 * identifiers (rule 1), and the others need no lock, as nothing of them changes. What is
 * inserted beside them is left out where another transaction took the key
 * meanwhile, and then the whole group runs again and finds the other one.
 */

/** Another transaction took a key between the read and the insert: run it again. */
export class UniqueKeyRace extends StoreUnavailable {}

/** One that carries a key, as it was read without a lock. */
export type Carrier = { readonly executionId: ExecutionId; readonly gateKeys: readonly string[] };

/** One that carries a key, locked. */
export type Holder = { readonly execution: Execution; readonly holdsGates: boolean };

/** Those that carry the keys of these submissions, by hash. gate_keys never change, so no lock is needed to lock gates. */
export async function readCarriers(
  session: SqlSession,
  submissions: readonly Submission[],
): Promise<ReadonlyMap<string, Carrier>> {
  const carriers = new Map<string, Carrier>();
  const hashes = submissions.flatMap(({ unique }) => unique?.hash ?? []);
  for (const list of valueLists(hashes)) {
    const rows = await session.query(
      `SELECT live_unique_key, execution_id, gate_keys FROM executions WHERE live_unique_key IN (${list.sql})`,
      list.values,
    );
    for (const row of rows) {
      const gateKeys = gateKeysOf(textOrNull(row, "gate_keys"));
      carriers.set(text(row, "live_unique_key"), { executionId: text(row, "execution_id") as ExecutionId, gateKeys });
    }
  }
  return carriers;
}

/** Locks those that still carry their keys, by identifier. */
export async function lockHolders(
  session: SqlSession,
  carriers: readonly Carrier[],
): Promise<ReadonlyMap<ExecutionId, Holder>> {
  const holders = new Map<ExecutionId, Holder>();
  const ids = carriers.map(({ executionId }) => executionId);
  const rows = await lockExecutions(session, `${FULL_COLUMNS}, gates_held, live_unique_key`, ids);
  for (const row of rows) {
    if (row.live_unique_key === null) continue;
    const execution = executionOf(row);
    holders.set(execution.executionId, { execution, holdsGates: row.gates_held !== null });
  }
  return holders;
}

/** Throws UniqueKeyRace unless all rows with a key were inserted. */
export async function checkInserted(session: SqlSession, rows: readonly NewRow[]): Promise<void> {
  const ids = rows.filter(({ uniqueHash: hash }) => hash !== null).map(({ execution }) => execution.executionId);
  let found = 0;
  for (const list of valueLists(ids)) {
    const [row] = await session.query(
      `SELECT COUNT(*) AS found FROM executions WHERE execution_id IN (${list.sql})`,
      list.values,
    );
    assert(row !== undefined, "a count has a row");
    found += Number(row.found);
  }
  if (found < ids.length) throw new UniqueKeyRace("another submission took a unique_key meanwhile");
}
