import { assert } from "../../domain/assert.ts";
import type { Execution } from "../../domain/execution.ts";
import type { ExecutionId } from "../../domain/identifier.ts";
import type { EndedPage, FeedStore } from "../../port/store-feed.ts";
import type { EndedPlace } from "../../port/store-retention.ts";
import { BASIC_COLUMNS, executionOf, FULL_COLUMNS } from "./execution-row.ts";
import { int, intOrNull, text, textOrNull } from "./row-reader.ts";
import type { Row, SqlDatabase, SqlSession } from "./session.ts";
import { valueLists } from "./value-list.ts";

/**
 * Rule 34, as the store has it. The transaction that ends an execution writes
 * ended_us by the store's clock, and may commit a while later; nothing that is
 * read before that can see it. On MySQL that while is bounded by the limits of
 * its connections (mysql/connection.ts); SQLite has one writer, and its while
 * is for ends of one microsecond and for a clock that is set.
 */

/** How much later than its ended_us an end may appear. */
const SETTLE_US = { mysql: 20_000_000, sqlite: 1_000_000 } as const;
/** The row of `feeds` that says up to where ends are deleted. */
const DELETED = "deleted";
/** The columns of `feeds`; an empty execution_id stands before all that ended at that time. */
const CURSOR_COLUMNS = ["name", "ended_us", "execution_id"];

/** The feed on SQL. */
export class SqlFeedStore implements FeedStore {
  readonly settleUs: number;
  readonly #db: SqlDatabase;

  constructor(database: SqlDatabase, kind: keyof typeof SETTLE_US) {
    this.#db = database;
    this.settleUs = SETTLE_US[kind];
  }

  ended(after: EndedPlace, untilUs: number | null, limit: number): Promise<EndedPage> {
    return this.#db.read("feed.ended", async (session) => {
      // The clock first: what is committed by then is among what is read after it.
      const nowUs = await session.nowUs();
      const { endedUs, executionId } = after;
      const rows = await session.query(
        `SELECT ended_us, execution_id FROM executions
          WHERE ended_us >= ? AND ended_us <= ? AND (ended_us > ? OR execution_id > ?)
          ORDER BY ended_us, execution_id LIMIT ?`,
        [endedUs, untilUs ?? Number.MAX_SAFE_INTEGER, endedUs, executionId, limit],
      );
      // Read last: what was deleted before the rows were read is told of.
      const [mark] = await session.query("SELECT ended_us FROM feeds WHERE name = ?", [DELETED]);
      const places = rows.map((row) => ({
        endedUs: int(row, "ended_us"),
        executionId: text(row, "execution_id") as ExecutionId,
      }));
      return { places, nowUs, deletedUs: mark === undefined ? 0 : (intOrNull(mark, "ended_us") ?? 0) };
    });
  }

  read(executionIds: readonly ExecutionId[], full: boolean): Promise<readonly Execution[]> {
    return this.#db.read("feed.read", async (session) => {
      const found = new Map<ExecutionId, Execution>();
      for (const list of valueLists([...new Set(executionIds)])) {
        const rows = await session.query(
          `SELECT ${full ? FULL_COLUMNS : BASIC_COLUMNS} FROM executions WHERE execution_id IN (${list.sql})`,
          list.values,
        );
        for (const row of rows) {
          const execution = executionOf(row);
          found.set(execution.executionId, execution);
        }
      }
      return executionIds.flatMap((executionId) => found.get(executionId) ?? []);
    });
  }

  async cursor(name: string): Promise<EndedPlace> {
    assert(name !== DELETED, "the name is a reader's");
    const there = await this.#db.read("feed.cursor", (session) => cursorRow(session, name));
    if (there !== undefined) return placeOf(there);
    return await this.#db.transact("feed.begin", async (session) => {
      const beginUs = Math.max((await session.nowUs()) - this.settleUs, 0);
      // Another may have made it meanwhile: then it stands where that one began.
      await session.execute(session.dialect.insert("feeds", CURSOR_COLUMNS, 1, "name"), [name, beginUs, ""]);
      const made = await cursorRow(session, name);
      assert(made !== undefined, "the row is there now");
      return placeOf(made);
    });
  }

  async moveCursor(name: string, from: EndedPlace, to: EndedPlace): Promise<boolean> {
    assert(name !== DELETED, "the name is a reader's");
    const moved = await this.#db.transactOne("feed.move", (session) =>
      session.execute(
        "UPDATE feeds SET ended_us = ?, execution_id = ? WHERE name = ? AND ended_us = ? AND execution_id = ?",
        [to.endedUs, to.executionId, name, from.endedUs, from.executionId],
      ),
    );
    return moved === 1;
  }
}

async function cursorRow(session: SqlSession, name: string): Promise<Row | undefined> {
  const [row] = await session.query(`SELECT ${CURSOR_COLUMNS.join(", ")} FROM feeds WHERE name = ?`, [name]);
  return row;
}

function placeOf(row: Row): EndedPlace {
  return { endedUs: int(row, "ended_us"), executionId: (textOrNull(row, "execution_id") ?? "") as ExecutionId };
}

/** Remembers that an end of this time is deleted, in the transaction that deletes it: the last row that it takes. */
export async function markDeleted(session: SqlSession, endedUs: number): Promise<void> {
  await session.execute(session.dialect.insert("feeds", ["name", "ended_us"], 1, "name"), [DELETED, 0]);
  await session.execute("UPDATE feeds SET ended_us = ? WHERE name = ? AND ended_us < ?", [endedUs, DELETED, endedUs]);
}
