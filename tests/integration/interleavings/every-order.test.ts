/** What runs pairs in every order sees a lost update, an overtaken check and a deadlock, and leaves out what is the same. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { SqlDatabase, SqlSession } from "../../../services/common/adapter/sql/session.ts";
import { InterleavedPairs } from "../../support/interleaved-pairs.ts";
import type { InterleavedWork } from "../../support/interleavings.ts";

const pairs = new InterleavedPairs();

async function numberOf(session: SqlSession, name: string, lock = ""): Promise<number> {
  const [row] = await session.query(`SELECT value FROM mesh WHERE name = ?${lock}`, [name]);
  return Number(row?.value);
}

async function set(session: SqlSession, name: string, value: number): Promise<void> {
  await session.execute("UPDATE mesh SET value = ? WHERE name = ?", [String(value), name]);
}

/** Both sides do the same; `seen` gets the values that are left after each order. */
async function workOf(
  act: (database: SqlDatabase, side: 0 | 1) => Promise<unknown>,
  seen: Set<string>,
): Promise<InterleavedWork> {
  const { sql } = pairs.database;
  await sql(async (session) => {
    await session.execute("DELETE FROM mesh");
    await session.execute("INSERT INTO mesh (name, value) VALUES ('a', '0'), ('b', '0')");
  });
  return {
    work: [() => act(pairs.sides[0].database, 0), () => act(pairs.sides[1].database, 1)],
    committed: async () => {},
    check: async () => {
      const values = await sql(async (session) => [await numberOf(session, "a"), await numberOf(session, "b")]);
      seen.add(values.join(" "));
    },
  };
}

test("a counter that is read without its lock loses an update in some order, and in none with it", async () => {
  const raise = (lock: string) => (database: SqlDatabase) =>
    database.transact("raise", async (session) => set(session, "a", (await numberOf(session, "a", lock)) + 1));
  const unlocked = new Set<string>();
  const { orders } = await pairs.runWork(() => workOf(raise(""), unlocked));
  assert.deepEqual([...unlocked].sort(), ["1 0", "2 0"]);
  assert.ok(orders >= 3, `${orders} orders`);
  const locked = new Set<string>();
  const { waits } = await pairs.runWork(() => workOf(raise(" FOR UPDATE"), locked));
  assert.deepEqual([...locked], ["2 0"]);
  assert.ok(waits > 0);
});

test("rows that are locked the other way round run into a deadlock, which runs again and ends well", async () => {
  const cross = (database: SqlDatabase, side: 0 | 1) =>
    database.transact("cross", async (session) => {
      for (const name of side === 0 ? ["a", "b"] : ["b", "a"]) {
        await set(session, name, (await numberOf(session, name, " FOR UPDATE")) + 1);
      }
    });
  const seen = new Set<string>();
  const { reruns } = await pairs.runWork(() => workOf(cross, seen));
  assert.ok(reruns > 0);
  assert.deepEqual([...seen], ["2 2"]);
});

test("transactions that only read have one order", async () => {
  const read = (database: SqlDatabase) => database.transact("read", (session) => numberOf(session, "a"));
  const { orders, waits } = await pairs.runWork(() => workOf(read, new Set()));
  assert.deepEqual([orders, waits], [1, 0]);
});
