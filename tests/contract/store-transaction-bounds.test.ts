/** How long a transaction may take on MySQL, and how many wait for a connection. SQLite's own are of its unit tests. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { POOL_SIZE } from "../../services/common/adapter/mysql/open.ts";
import { text } from "../../services/common/adapter/sql/row-reader.ts";
import { StoreUnavailable } from "../../services/common/port/store.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { storeBackends, type TestDatabase, type TestOptions } from "../support/store.ts";

function mysqlTest(name: string, body: (db: TestDatabase) => Promise<void>, options: TestOptions = {}): void {
  for (const backend of storeBackends.filter(({ kind }) => kind === "mysql")) {
    test(name, async () => {
      const db = await backend.open(options);
      try {
        await body(db);
      } finally {
        await db.close();
      }
    });
  }
}

const clock = new ManualClock();

mysqlTest(
  "a transaction that takes more than ten seconds is StoreUnavailable, and changes nothing",
  async ({ database, sql }) => {
    const taking = (ms: number, name: string) =>
      database.transact("slow", async (session) => {
        await session.execute("INSERT INTO mesh (name, value) VALUES (?, ?)", [name, "0"]);
        await clock.advance(ms);
      });
    await taking(10_000, "in time");
    await assert.rejects(taking(10_001, "late"), /not done within 10000 ms/);
    const rows = await sql((session) => session.query("SELECT name FROM mesh WHERE name IN ('in time', 'late')"));
    assert.deepEqual(
      rows.map((row) => text(row, "name")),
      ["in time"],
    );
  },
  { clock },
);

mysqlTest("10,000 transactions wait for a connection; one more is StoreUnavailable", async ({ database }) => {
  const held = Promise.withResolvers<void>();
  const refused: unknown[] = [];
  const isRefused = Promise.withResolvers<void>();
  const turns = Array.from({ length: 10_000 + POOL_SIZE + 1 }, () =>
    database
      .transact("wait", () => held.promise)
      .catch((error: unknown) => {
        refused.push(error);
        isRefused.resolve();
      }),
  );
  await isRefused.promise;
  held.resolve();
  await Promise.all(turns);
  assert.equal(refused.length, 1);
  assert.ok(refused[0] instanceof StoreUnavailable);
});
