/** How SqliteDatabase runs statements, on a real database in memory. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { StatementHook } from "../../../services/common/adapter/sql/session.ts";
import { SqliteDatabase } from "../../../services/common/adapter/sqlite/database.ts";
import { openHandle } from "../../../services/common/adapter/sqlite/handle.ts";
import { ManualClock } from "../../support/manual-clock.ts";

function setup(t: TestContext, onStatement?: StatementHook) {
  const handle = openHandle(":memory:", 0);
  handle.exec("CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT)");
  const prepared: string[] = [];
  const prepare = handle.prepare.bind(handle);
  t.mock.method(handle, "prepare", (sql: string) => {
    prepared.push(sql);
    return prepare(sql);
  });
  const database = new SqliteDatabase({ handle, clock: new ManualClock(), onStatement });
  t.after(() => database.close());
  return { database, prepared };
}

test("no value of a parameter is looked at for the plan, and a question mark in a text stays one", async (t) => {
  const { database, prepared } = setup(t);
  await database.transact("fill", (session) =>
    session.executeEach("INSERT INTO things (id, name) VALUES (?, ?)", [
      [1, "one?"],
      [2, null],
      [3, "three"],
    ]),
  );
  const sql = "SELECT id FROM things WHERE name <> ? AND name <> 'it''s ?' ORDER BY id LIMIT ?";
  const ask = (name: string, limit: number) => database.read("ask", (session) => session.query(sql, [name, limit]));
  assert.deepEqual(await ask("two", 10), [{ id: 1 }, { id: 3 }]);
  assert.deepEqual(await ask("two", 1), [{ id: 1 }]);
  assert.deepEqual(await ask("one?", 1), [{ id: 3 }]);
  assert.deepEqual(
    prepared.filter((text) => text.startsWith("SELECT")),
    ["SELECT id FROM things WHERE name <> +? AND name <> 'it''s ?' ORDER BY id LIMIT +?"],
    "once, with each parameter as an expression",
  );
});

test("all statements of a read see one state, though a change waits", async (t) => {
  const { database } = setup(t);
  const count = "SELECT COUNT(*) AS count FROM things";
  let changed: Promise<number> | null = null;
  const seen = await database.read("look", async (session) => {
    const before = await session.query(count);
    changed = database.transact("add", (own) => own.execute("INSERT INTO things (id) VALUES (?)", [7]));
    return [...before, ...(await session.query(count))];
  });
  assert.deepEqual(seen, [{ count: 0 }, { count: 0 }]);
  assert.equal(await changed, 1);
  assert.deepEqual(await database.read("look", (session) => session.query(count)), [{ count: 1 }]);
});

test("a read is its statements alone, a change is a transaction", async (t) => {
  const told: string[] = [];
  const { database } = setup(t, (name, sql) => void told.push(`${name}: ${sql}`));
  await database.read("ask", (session) => session.query("SELECT 1 AS one"));
  await database.transact("change", (session) => session.execute("DELETE FROM things"));
  const rolledBack = database.transact("fail", () => Promise.reject(new Error("no")));
  await assert.rejects(rolledBack, /no/);
  assert.deepEqual(told, [
    "ask: SELECT 1 AS one",
    "change: BEGIN IMMEDIATE",
    "change: DELETE FROM things",
    "change: COMMIT",
    "fail: BEGIN IMMEDIATE",
    "fail: ROLLBACK",
  ]);
});

test("100,000 transactions wait for their turn; one more is refused, and room comes back", async (t) => {
  const { database } = setup(t);
  const held = Promise.withResolvers<void>();
  const turns = [database.read("hold", () => held.promise)];
  while (turns.length < 100_000) turns.push(database.read("wait", async () => {}));
  await assert.rejects(
    database.read("one more", async () => {}),
    { message: "100000 transactions wait for the store" },
  );
  held.resolve();
  await Promise.all(turns);
  await database.read("again", async () => {});
});
