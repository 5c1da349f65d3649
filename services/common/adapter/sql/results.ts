import { AssertionFault } from "../../domain/assert.ts";
import type { AttemptResult } from "../../domain/attempt.ts";
import { FailureCode } from "../../domain/failure.ts";
import type { Random } from "../../port/random.ts";
import { StoreUnavailable } from "../../port/store.ts";
import type { BatchOffsets, ResultOutcome, StoreResultsOutcome } from "../../port/store-executions.ts";
import { endAttempts } from "./attempt-ends.ts";
import type { Ending } from "./execution-end.ts";
import type { SqlDatabase, SqlSession } from "./session.ts";

/**
 * Rules 3 and 4: a batch of results is one transaction that begins with the
 * compared move of its partition's offset; when the offset is not where the
 * batch begins, nothing is stored. A batch that fails for good is cut in two:
 * its halves are stored without moving the offset, which is harmless as each
 * result is fenced by its key, and the offset moves last. A result that fails
 * alone ends FAILED with RESULT_UNSTORABLE, so that it never stops a partition.
 */

/** Results in one transaction. */
const MAX_BATCH_RESULTS = 1_000;

class OffsetConflict extends Error {
  override readonly name = "OffsetConflict";
}

/** Stores a batch of results. */
export async function storeResults(
  db: SqlDatabase,
  random: Random,
  results: readonly AttemptResult[],
  offsets: BatchOffsets | null,
): Promise<StoreResultsOutcome> {
  const endings = results.map(endingOf);
  try {
    return { kind: "stored", results: await storeBatch(db, random, endings, offsets) };
  } catch (error) {
    if (error instanceof OffsetConflict) return { kind: "offset_conflict" };
    throw error;
  }
}

async function storeBatch(
  db: SqlDatabase,
  random: Random,
  endings: readonly Ending[],
  offsets: BatchOffsets | null,
): Promise<ResultOutcome[]> {
  if (endings.length <= MAX_BATCH_RESULTS) {
    const whole = await tryEndings(db, random, endings, offsets);
    if (whole !== null) return whole;
  }
  const outcomes: ResultOutcome[] = [];
  for (let first = 0; first < endings.length; first += MAX_BATCH_RESULTS) {
    outcomes.push(...(await storeOrBisect(db, random, endings.slice(first, first + MAX_BATCH_RESULTS))));
  }
  if (offsets !== null) await db.transact("result_offsets", (session) => moveOffset(session, offsets));
  return outcomes;
}

async function storeOrBisect(db: SqlDatabase, random: Random, endings: readonly Ending[]): Promise<ResultOutcome[]> {
  const stored = await tryEndings(db, random, endings, null);
  if (stored !== null) return stored;
  const [only] = endings;
  if (endings.length === 1 && only !== undefined) return await storeUnstorable(db, random, only);
  const middle = endings.length >> 1;
  const first = await storeOrBisect(db, random, endings.slice(0, middle));
  return [...first, ...(await storeOrBisect(db, random, endings.slice(middle)))];
}

/** Null when the store refuses the batch for good. */
async function tryEndings(
  db: SqlDatabase,
  random: Random,
  endings: readonly Ending[],
  offsets: BatchOffsets | null,
): Promise<ResultOutcome[] | null> {
  try {
    return await db.transact("results", async (session) => {
      if (offsets !== null) await moveOffset(session, offsets);
      return await endAttempts(session, random, endings);
    });
  } catch (error) {
    if (error instanceof OffsetConflict || error instanceof StoreUnavailable) throw error;
    if (error instanceof AssertionFault) throw error;
    return null;
  }
}

/** The attempt ends without what the store refuses of it. */
function storeUnstorable(db: SqlDatabase, random: Random, ending: Ending): Promise<ResultOutcome[]> {
  const message = "the store refuses the result as it is";
  const failure = { code: FailureCode.INTERNAL, message, reason: "RESULT_UNSTORABLE" };
  const end = { kind: "failed", failure, nonRetryable: true, retryDelayMs: null } as const;
  const bare = { key: ending.key, startUs: null, endUs: null, exitCode: null, output: "", errorOutput: "" };
  const substitute: Ending = { ...bare, outputPieceCount: 0, end, failedReason: "RESULT_UNSTORABLE" };
  return db.transact("result_unstorable", (session) => endAttempts(session, random, [substitute]));
}

/** Rule 3: the offset moves only from where the batch begins. */
async function moveOffset(session: SqlSession, offsets: BatchOffsets): Promise<void> {
  const nowUs = await session.nowUs();
  const moved = await session.execute(
    `UPDATE result_offsets SET next_offset = ?, last_key = ?, stored_us = ?
      WHERE part = ? AND generation = ? AND next_offset = ?`,
    [offsets.nextOffset, offsets.lastKey, nowUs, offsets.partition, offsets.generation, offsets.firstOffset],
  );
  if (moved === 0) throw new OffsetConflict("the offset is not where the batch begins");
}

function endingOf(result: AttemptResult): Ending {
  const { key, outcome, startUs, endUs, exitCode, output, errorOutput, outputPieceCount } = result;
  return { key, end: outcome, startUs, endUs, exitCode, output, errorOutput, outputPieceCount, failedReason: null };
}
