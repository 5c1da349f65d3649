import type { ExecutorRecord } from "../../domain/executor.ts";
import type { ExecutorId, Incarnation, SchedulerId } from "../../domain/identifier.ts";
import type { Beat, Drain, ExecutorStore, RegisterOutcome, Registration } from "../../port/store-executors.ts";
import { register } from "./executor-register.ts";
import { EXECUTOR_COLUMNS, executorOf } from "./executor-row.ts";
import { updateRows } from "./many-rows.ts";
import { int, text } from "./row-reader.ts";
import type { SqlDatabase, SqlSession } from "./session.ts";
import { transactOrUndo } from "./undo.ts";
import { valueLists } from "./value-list.ts";

const COLUMNS = EXECUTOR_COLUMNS.join(", ");
/** Forgotten in one transaction. */
const MAX_PRUNED = 500;
/** Current attempts of an incarnation, found by their index. */
const HAS_ATTEMPTS = `EXISTS (SELECT 1 FROM executions AS e
  WHERE e.active_executor = x.executor_id AND e.incarnation = x.incarnation)`;

/** Neither lost nor left. */
const LIVE = "lost_us IS NULL AND left_us IS NULL";

/** Executors on SQL: who lives is in the store (rule 14). */
export class SqlExecutorStore implements ExecutorStore {
  readonly #database: SqlDatabase;

  constructor(database: SqlDatabase) {
    this.#database = database;
  }

  register(registration: Registration): Promise<RegisterOutcome> {
    return transactOrUndo<RegisterOutcome>(this.#database, "executor.register", (session, undo) =>
      register(session, registration, undo),
    );
  }

  beat(home: SchedulerId, beats: readonly Beat[]): Promise<readonly Beat[]> {
    if (beats.length === 0) return Promise.resolve([]);
    return this.#database.transact("executor.beat", (session) => beat(session, home, beats));
  }

  async live(): Promise<readonly ExecutorRecord[]> {
    const rows = await this.#database.read("executor.live", (session) =>
      session.query(
        `SELECT ${COLUMNS} FROM executors WHERE lost_us IS NULL AND left_us IS NULL
          ORDER BY registered_us, executor_id, incarnation`,
      ),
    );
    return rows.map(executorOf);
  }

  async declareLost(executorId: ExecutorId, incarnation: Incarnation, heardUs: number): Promise<boolean> {
    const changed = await this.#database.transact("executor.lost", async (session) =>
      session.execute(
        `UPDATE executors SET lost_us = ? WHERE executor_id = ? AND incarnation = ? AND heard_us = ?
          AND lost_us IS NULL AND left_us IS NULL`,
        [await session.nowUs(), executorId, incarnation, heardUs],
      ),
    );
    return changed === 1;
  }

  async lostWithAttempts(): Promise<readonly ExecutorRecord[]> {
    const rows = await this.#database.read("executor.lost_with_attempts", (session) => session.query(lostSql));
    return rows.map(executorOf);
  }

  async leave(executorId: ExecutorId, incarnation: Incarnation): Promise<void> {
    await this.#database.transact("executor.leave", async (session) =>
      session.execute(
        `UPDATE executors SET left_us = ? WHERE executor_id = ? AND incarnation = ?
          AND lost_us IS NULL AND left_us IS NULL`,
        [await session.nowUs(), executorId, incarnation],
      ),
    );
  }

  async drain(executorId: ExecutorId, graceMs: number): Promise<ExecutorRecord | null> {
    const [row] = await this.#database.transact("executor.drain", async (session) => {
      const untilUs = (await session.nowUs()) + graceMs * 1_000;
      await session.execute(
        `UPDATE executors SET drain_us = CASE WHEN drain_us < ? THEN drain_us ELSE ? END WHERE executor_id = ? AND ${LIVE}`,
        [untilUs, untilUs, executorId],
      );
      return await session.query(`SELECT ${COLUMNS} FROM executors WHERE executor_id = ? AND ${LIVE}`, [executorId]);
    });
    return row === undefined ? null : executorOf(row);
  }

  async drains(home: SchedulerId): Promise<readonly Drain[]> {
    const rows = await this.#database.read("executor.drains", (session) => session.query(drainsSql, [home]));
    return rows.map((row) => ({
      executorId: text(row, "executor_id") as ExecutorId,
      incarnation: text(row, "incarnation") as Incarnation,
      untilUs: int(row, "drain_us"),
    }));
  }

  prune(endedBeforeUs: number): Promise<number> {
    return this.#database.transact("executor.prune", async (session) => {
      // Looked for without locks first: a DELETE with this condition would lock executions (rule 1).
      const rows = await session.query(
        `SELECT executor_id, incarnation FROM executors AS x
          WHERE COALESCE(lost_us, left_us) < ? AND NOT ${HAS_ATTEMPTS}
          ORDER BY executor_id, incarnation LIMIT ${MAX_PRUNED}`,
        [endedBeforeUs],
      );
      for (const row of rows) {
        await session.execute("DELETE FROM executors WHERE executor_id = ? AND incarnation = ?", [
          text(row, "executor_id"),
          text(row, "incarnation"),
        ]);
      }
      return rows.length;
    });
  }
}

/** Lost or left, and still with attempts (rule 15). */
export const lostSql = `SELECT ${COLUMNS} FROM executors AS x
  WHERE (lost_us IS NOT NULL OR left_us IS NOT NULL) AND ${HAS_ATTEMPTS}
  ORDER BY registered_us, executor_id, incarnation`;

/** Drains of a home's executors. */
export const drainsSql = `SELECT executor_id, incarnation, drain_us FROM executors
  WHERE home = ? AND drain_us IS NOT NULL AND ${LIVE}`;

/** Rule 14: heard_time of all sessions of a home in one statement; a session that is not the store's is not heard. */
async function beat(session: SqlSession, home: SchedulerId, beats: readonly Beat[]): Promise<readonly Beat[]> {
  const nowUs = await session.nowUs();
  const sorted = beats.toSorted((a, b) => (sessionKey(a) < sessionKey(b) ? -1 : 1));
  const heard = await updateRows(
    session,
    {
      table: "executors",
      keys: ["executor_id", "incarnation", "session_number", "home"],
      set: ["heard_us", "free_slots", "cpu_load", "memory_bytes", "draining"],
      where: "t.lost_us IS NULL AND t.left_us IS NULL",
    },
    sorted.map((one) => [
      one.executorId,
      one.incarnation,
      one.sessionNumber,
      home,
      nowUs,
      one.freeSlots,
      one.cpuLoad,
      one.memoryBytes,
      one.draining ? 1 : 0,
    ]),
  );
  if (heard === beats.length) return beats;
  const standing = await standingSessions(session, home, sorted);
  return beats.filter((one) => standing.has(sessionKey(one)));
}

/** Sessions of a home that are the store's. Those that were heard are locked by this transaction. */
async function standingSessions(
  session: SqlSession,
  home: SchedulerId,
  beats: readonly Beat[],
): Promise<ReadonlySet<string>> {
  const standing = new Set<string>();
  for (const list of valueLists(beats.map(({ executorId }) => executorId))) {
    const rows = await session.query(
      `SELECT executor_id, incarnation, session_number FROM executors
        WHERE executor_id IN (${list.sql}) AND home = ? AND lost_us IS NULL AND left_us IS NULL`,
      [...list.values, home],
    );
    for (const row of rows) {
      standing.add(`${text(row, "executor_id")}\n${text(row, "incarnation")}\n${int(row, "session_number")}`);
    }
  }
  return standing;
}

function sessionKey({ executorId, incarnation, sessionNumber }: Beat): string {
  return `${executorId}\n${incarnation}\n${sessionNumber}`;
}
