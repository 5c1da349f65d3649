import type { Cause } from "../../domain/execution.ts";
import { hash63 } from "../../domain/hash.ts";
import type { ExecutionId } from "../../domain/identifier.ts";
import { insertRows } from "./many-rows.ts";
import type { SqlSession, SqlValue } from "./session.ts";
import type { ValueList } from "./value-list.ts";

/**
 * Executions by their labels: a row for each label of those that have any,
 * written and deleted in the transactions of the execution itself. Executions
 * without labels have none, so that they cost nothing. A label stands as a hash
 * of its namespace, key and value; what a list reads by it is compared with the
 * labels themselves, so that two of one hash do no harm. A cause that few
 * executions have stands beside their labels in the same way.
 */

/** Causes that stand here: not those of what comes by the thousand, nor of what is stored by one statement alone. */
const LISTED_CAUSES: readonly Cause[] = ["BACKFILL", "RETRY_EXECUTION"];

/** An execution as far as its labels go. */
export type Labelled = {
  readonly executionId: ExecutionId;
  readonly namespace: string;
  readonly cause: Cause;
  readonly labels: Readonly<Record<string, string>>;
};

/** The first 63 bits of the SHA-256 of a label. */
export function labelHash(namespace: string, key: string, value: string): bigint {
  return hash63(JSON.stringify([namespace, key, value]));
}

/** The same of a cause, of all namespaces; null for one that does not stand here. */
export function causeHash(cause: Cause): bigint | null {
  return LISTED_CAUSES.includes(cause) ? hash63(JSON.stringify(["cause", cause])) : null;
}

/** What stands here for an execution. */
export function labelHashes({ namespace, cause, labels }: Omit<Labelled, "executionId">): bigint[] {
  const ofCause = causeHash(cause);
  const hashes = Object.entries(labels).map(([key, value]) => labelHash(namespace, key, value));
  return ofCause === null ? hashes : [...hashes, ofCause];
}

/** Writes the labels of executions that this transaction inserts; of those that are there already nothing changes. */
export async function insertLabels(session: SqlSession, executions: readonly Labelled[]): Promise<void> {
  const rows = executions.flatMap((one) => labelHashes(one).map((label): SqlValue[] => [one.executionId, label]));
  await insertRows(session, "execution_labels", ["execution_id", "label"], rows, "execution_id");
}

/** Deletes the labels of executions that this transaction deletes. */
export async function deleteLabels(session: SqlSession, ids: ValueList<string>): Promise<void> {
  await session.execute(`DELETE FROM execution_labels WHERE execution_id IN (${ids.sql})`, ids.values);
}
