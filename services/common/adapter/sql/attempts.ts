import { assert } from "../../domain/assert.ts";
import type { Attempt } from "../../domain/attempt.ts";
import type { ExecutionId, ExecutorId, Incarnation } from "../../domain/identifier.ts";
import type { Page } from "../../port/store.ts";
import { ATTEMPT_COLUMNS, attemptKeyOf, attemptOf } from "./attempt-row.ts";
import { ACTIVE_STATES, stateOf } from "./execution-row.ts";
import { pageToken, parsePageToken } from "./page-token.ts";
import { int, intOrNull, text } from "./row-reader.ts";
import type { Row, SqlDatabase, SqlSession } from "./session.ts";

/** Largest page. */
const MAX_PAGE_SIZE = 100;

/**
 * Attempts of an execution from the first on: those that ended have a row in
 * job_logs, the current one is the execution's own row till then.
 */
export function attempts(
  db: SqlDatabase,
  executionId: ExecutionId,
  pageSize: number,
  token: string | null,
): Promise<Page<Attempt>> {
  const size = Math.min(Math.max(pageSize, 1), MAX_PAGE_SIZE);
  return db.read("attempts", async (session): Promise<Page<Attempt>> => {
    const after = token === null ? 0 : parsePageToken(token, ["number"])[0];
    // The current one first: ended in between, it is found once more among the ended, and those win.
    const current = await currentAttempt(session, executionId, after);
    const rows = await session.query(
      `SELECT ${ATTEMPT_COLUMNS} FROM job_logs WHERE execution_id = ? AND attempt > ? ORDER BY attempt LIMIT ?`,
      [executionId, after, size + 1],
    );
    const items = rows.map(attemptOf);
    const hasEnded = current !== null && items.some(({ key }) => key.attempt >= current.key.attempt);
    if (current !== null && !hasEnded && items.length <= size) items.push(current);
    const page = items.slice(0, size);
    return { items: page, nextToken: items.length > size ? pageToken([page.at(-1)?.key.attempt ?? after]) : null };
  });
}

async function currentAttempt(session: SqlSession, executionId: ExecutionId, after: number): Promise<Attempt | null> {
  const [row] = await session.query(
    `SELECT execution_id, attempt, fence, executor_id, incarnation, state, dispatch_us, attempt_start_us FROM executions
      WHERE execution_id = ? AND attempt > ? AND state IN ${ACTIVE_STATES}`,
    [executionId, after],
  );
  return row === undefined ? null : activeAttempt(row);
}

function activeAttempt(row: Row): Attempt {
  const state = stateOf(int(row, "state"));
  assert(state === "DISPATCHED" || state === "RUNNING", "a current attempt is DISPATCHED or RUNNING");
  return {
    key: attemptKeyOf(row),
    executorId: text(row, "executor_id") as ExecutorId,
    incarnation: text(row, "incarnation") as Incarnation,
    state,
    dispatchUs: int(row, "dispatch_us"),
    startUs: intOrNull(row, "attempt_start_us"),
    endUs: null,
    exitCode: null,
    output: "",
    errorOutput: "",
    failure: null,
    counted: false,
    returnReason: null,
  };
}
