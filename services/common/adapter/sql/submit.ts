import { assert } from "../../domain/assert.ts";
import type { Execution } from "../../domain/execution.ts";
import type { ExecutionId } from "../../domain/identifier.ts";
import { storedSize } from "../../domain/parameter.ts";
import type { Submission, SubmitOutcome } from "../../port/store-executions.ts";
import { rowFault } from "./execution-insert.ts";
import { executionOf, FULL_COLUMNS } from "./execution-row.ts";
import { parametersText } from "./execution-text.ts";
import { requestKey } from "./requests.ts";
import type { SqlDatabase, SqlSession } from "./session.ts";
import { CommitUnknown, StatementRefused } from "./store-fault.ts";
import { isOneStatement, storeGroup } from "./submit-group.ts";
import { UniqueKeyRace } from "./unique-keys.ts";
import { valueLists } from "./value-list.ts";

/**
 * Rule 5: group commit. A group is one transaction of at most 500 rows or
 * 4 MiB; rows with gates are grouped apart from plain ones, and a request_id
 * that comes twice waits for the next group. A group that the store refuses for
 * good, or that loses its unique_keys to others again and again, is cut in two
 * until the row at fault stands alone. After a COMMIT whose outcome is unknown
 * the group is read back by identifier, under lock, so that a commit still on
 * its way is awaited; what is not there is stored again.
 */

/** Rows in one group. */
const MAX_GROUP_ROWS = 500;
/** Bytes of targets in one group, more or less. */
const MAX_GROUP_BYTES = 4 * 1024 * 1024;
/** A row is counted as at least this long. */
const ROW_BYTES = 1_024;
/** Commits of one group with an unknown outcome, before the caller hears of it. */
const MAX_UNKNOWN_COMMITS = 3;
/** Runs of one group that lost a unique_key to others, before it is cut in two; of one row, before its caller hears of it. */
const MAX_UNIQUE_RACES = 10;

/** Stores submissions and answers for each in order. Throws StoreUnavailable when their fate cannot be read. */
export async function submit(db: SqlDatabase, submissions: readonly Submission[]): Promise<SubmitOutcome[]> {
  const outcomes = new Map<Submission, SubmitOutcome>();
  const plain: Submission[] = [];
  const special: Submission[] = [];
  for (const submission of submissions) {
    const fault = rowFault(submission.execution);
    if (fault !== null) outcomes.set(submission, { kind: "refused", message: fault });
    else (isPlain(submission) ? plain : special).push(submission);
  }
  for (const group of [...groups(plain), ...groups(special)]) {
    const answers = await storeOrBisect(db, group);
    for (const [index, submission] of group.entries()) {
      const answer = answers[index];
      assert(answer !== undefined, "each submission has an outcome");
      outcomes.set(submission, answer);
    }
  }
  return submissions.map((submission) => {
    const outcome = outcomes.get(submission);
    assert(outcome !== undefined, "each submission has an outcome");
    return outcome;
  });
}

/** Rows with gates or a unique_key are grouped apart: what they wait for, plain ones need not. */
export function isPlain({ execution, unique }: Pick<Submission, "execution" | "unique">): boolean {
  return execution.gateKeys.length === 0 && unique == null;
}

/** Cuts submissions into groups in their order. No request_id, no unique_key and no identifier is twice in one. */
function groups(submissions: readonly Submission[]): Submission[][] {
  const all: Submission[][] = [];
  let group: Submission[] = [];
  let size = 0;
  let keys = new Set<string>();
  for (const submission of submissions) {
    const own = keysOf(submission);
    const ownSize = ROW_BYTES + storedSize(submission.execution);
    const full = group.length >= MAX_GROUP_ROWS || size + ownSize > MAX_GROUP_BYTES;
    if (group.length > 0 && (full || own.some((key) => keys.has(key)))) {
      all.push(group);
      group = [];
      size = 0;
      keys = new Set();
    }
    group.push(submission);
    size += ownSize;
    for (const key of own) keys.add(key);
  }
  if (group.length > 0) all.push(group);
  return all;
}

function keysOf({ execution, request, unique }: Submission): string[] {
  return [
    execution.executionId,
    ...(request === null ? [] : [requestKey(request)]),
    ...(unique == null ? [] : [unique.hash]),
  ];
}

async function storeOrBisect(db: SqlDatabase, group: readonly Submission[]): Promise<SubmitOutcome[]> {
  try {
    return await storeSurely(db, group);
  } catch (error) {
    const isRace = error instanceof UniqueKeyRace;
    if (!isRace && !(error instanceof StatementRefused)) throw error;
    if (group.length === 1) return [{ kind: isRace ? "contended" : "refused", message: error.message }];
  }
  const middle = group.length >> 1;
  const first = await storeOrBisect(db, group.slice(0, middle));
  return [...first, ...(await storeOrBisect(db, group.slice(middle)))];
}

/** Stores a group, and finds out what a lost COMMIT made of it. */
async function storeSurely(db: SqlDatabase, group: readonly Submission[]): Promise<SubmitOutcome[]> {
  for (let unknown = 0, races = 0; ; ) {
    // What the last run would have answered, had its COMMIT been heard.
    const run: { outcomes: SubmitOutcome[] | null } = { outcomes: null };
    try {
      const body = async (session: SqlSession): Promise<SubmitOutcome[]> => {
        run.outcomes = null;
        run.outcomes = await storeGroup(session, group);
        return run.outcomes;
      };
      return await (isOneStatement(group) ? db.transactOne("submit", body) : db.transact("submit", body));
    } catch (error) {
      if (error instanceof UniqueKeyRace && races++ < MAX_UNIQUE_RACES) continue;
      if (!(error instanceof CommitUnknown) || unknown++ >= MAX_UNKNOWN_COMMITS) throw error;
    }
    const answers = await answersOf(db, group, run.outcomes);
    if (answers !== null) return answers;
  }
}

/**
 * Answers of a group whose COMMIT was not heard; null when it does not stand. One of its rows is enough to know: it is
 * there, or, where it was there before, it has been changed as this group changes it. What was replaced and has been
 * claimed since must not be looked for by its key again.
 */
async function answersOf(
  db: SqlDatabase,
  group: readonly Submission[],
  outcomes: readonly SubmitOutcome[] | null,
): Promise<SubmitOutcome[] | null> {
  const stored = (outcomes ?? []).flatMap((outcome) => (outcome.kind === "stored" ? [outcome.execution] : []));
  const own = outcomes === null ? group.map(({ execution }) => execution) : stored;
  const found = await readBack(
    db,
    own.map(({ executionId }) => executionId),
  );
  const stands = outcomes === null ? found.size > 0 : stored.some((one) => isWritten(found.get(one.executionId), one));
  if (!stands) return null;
  return group.map(({ execution }, index): SubmitOutcome => {
    const outcome = outcomes?.[index];
    if (outcome !== undefined && outcome.kind !== "stored") return outcome;
    const now = found.get(outcome?.execution.executionId ?? execution.executionId);
    assert(now !== undefined, "a transaction stands as a whole");
    return { kind: "stored", execution: now };
  });
}

function isWritten(found: Execution | undefined, wanted: Execution): boolean {
  if (found === undefined || found.changeNumber < wanted.changeNumber) return false;
  if (wanted.changeNumber === 1) return true;
  const isSame = parametersText(found.parameters) === parametersText(wanted.parameters);
  return isSame && Buffer.compare(found.target.bytes, wanted.target.bytes) === 0;
}

/** Executions of these identifiers. The lock waits for a transaction that is still being committed. */
function readBack(db: SqlDatabase, ids: readonly ExecutionId[]): Promise<ReadonlyMap<ExecutionId, Execution>> {
  return db.transact("submit_read_back", async (session) => {
    const found = new Map<ExecutionId, Execution>();
    for (const list of valueLists(ids.toSorted())) {
      const rows = await session.query(
        `SELECT ${FULL_COLUMNS} FROM executions WHERE execution_id IN (${list.sql})
          ORDER BY execution_id${session.dialect.forUpdate}`,
        list.values,
      );
      for (const row of rows) found.set(row.execution_id as ExecutionId, executionOf(row));
    }
    return found;
  });
}
