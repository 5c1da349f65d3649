/** Rule 1: transactions run again when they lose, and leave nothing behind when they fail. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { insertRows, updateRows } from "../../services/common/adapter/sql/many-rows.ts";
import { migrations } from "../../services/common/adapter/sql/migration/migrations.ts";
import { int, text } from "../../services/common/adapter/sql/row-reader.ts";
import { MAX_RUNS, type SqlSession } from "../../services/common/adapter/sql/session.ts";
import { CommitUnknown, StatementRefused } from "../../services/common/adapter/sql/store-fault.ts";
import { StoreUnavailable } from "../../services/common/port/store.ts";
import { storeBackends, storeTest, type TestDatabase, type TestOptions } from "../support/store.ts";
import { uniqueName } from "../support/unique-name.ts";

const mysqlBackends = storeBackends.filter(({ kind }) => kind === "mysql");

/** A test on MySQL alone: SQLite has one writer, who loses to nobody. */
function mysqlTest(name: string, body: (open: (options?: TestOptions) => Promise<TestDatabase>) => Promise<void>) {
  for (const backend of mysqlBackends) {
    test(name, async () => {
      const opened: TestDatabase[] = [];
      try {
        await body(async (options) => {
          const database = await (opened[0]?.again(options) ?? backend.open(options));
          opened.push(database);
          return database;
        });
      } finally {
        for (const database of opened.reverse()) await database.close();
      }
    });
  }
}

function put(session: SqlSession, name: string, value = "0"): Promise<number> {
  return session.execute("INSERT INTO mesh (name, value) VALUES (?, ?)", [name, value]);
}

function set(session: SqlSession, name: string, value: string): Promise<number> {
  return session.execute("UPDATE mesh SET value = ? WHERE name = ?", [value, name]);
}

async function factOf(db: TestDatabase, name: string): Promise<string | null> {
  const [row] = await db.sql((session) => session.query("SELECT value FROM mesh WHERE name = ?", [name]));
  return row === undefined ? null : text(row, "value");
}

storeTest("a transaction that throws changes nothing, and the next one is not harmed", async (db) => {
  const name = uniqueName("fact");
  const boom = new Error("boom");
  const failing = db.database.transact("failing", async (session) => {
    await put(session, name);
    throw boom;
  });
  await assert.rejects(failing, boom);
  assert.equal(await factOf(db, name), null);
});

storeTest("rule 1: counters that many transactions raise at once come out right", async (db) => {
  const name = uniqueName("fact");
  await db.sql((session) => put(session, name));
  const raise = async (session: SqlSession): Promise<void> => {
    const [row] = await session.query(`SELECT value FROM mesh WHERE name = ?${session.dialect.forUpdate}`, [name]);
    assert.ok(row !== undefined);
    await set(session, name, String(Number(text(row, "value")) + 1));
  };
  await Promise.all(Array.from({ length: 40 }, () => db.database.transact("raise", raise)));
  assert.equal(await factOf(db, name), "40");
});

storeTest("a row that the store refuses fails its statement alone", async (db) => {
  const name = uniqueName("fact");
  await db.sql(async (session) => {
    await put(session, name, "first");
    await assert.rejects(put(session, name, "second"), StatementRefused);
  });
  assert.equal(await factOf(db, name), "first");
});

storeTest("an error tells no text of callers", async (db) => {
  const secret = uniqueName("hunter");
  const failing = db.sql((session) => session.execute("UPDATE mesh SET nothing = ? WHERE name = ?", [secret, secret]));
  const error = await failing.then(
    () => null,
    (fault: unknown) => fault,
  );
  assert.ok(error instanceof Error && !(error instanceof StoreUnavailable));
  assert.ok(!JSON.stringify([error, Object.entries(error), error.message]).includes(secret));
});

storeTest(
  "many rows are updated by their keys, all that match are counted, also those that do not change",
  async (db) => {
    const names = Array.from({ length: 700 }, () => uniqueName("fact"));
    await db.sql((session) =>
      insertRows(
        session,
        "mesh",
        ["name", "value"],
        names.map((name) => [name, "a"]),
      ),
    );
    const kept = names.slice(0, 3).map((name) => [name, "b"]);
    await db.sql((session) => insertRows(session, "mesh", ["name", "value"], kept, "name"));
    assert.equal(await factOf(db, names[0] ?? ""), "a", "one that is there stays as it is");
    const rows = [...names.map((name, at) => [name, at % 2 === 0 ? "a" : "ü"]), ["nobody", "c"]];
    const matched = await db.sql((session) =>
      updateRows(session, { table: "mesh", keys: ["name"], set: ["value"] }, rows),
    );
    assert.equal(matched, 700);
    const [counted] = await db.sql((session) => session.query("SELECT COUNT(*) AS n FROM mesh WHERE value = 'ü'"));
    assert.equal(counted === undefined ? 0 : int(counted, "n"), 350);
  },
);

storeTest("the store's clock is the same in a transaction and goes on after it", async (db) => {
  const [first, same] = await db.sql(async (session) => [await session.nowUs(), await session.nowUs()]);
  assert.equal(first, same);
  const wallUs = Date.now() * 1_000;
  assert.ok(Math.abs((first ?? 0) - wallUs) < 60_000_000, "whole microseconds since 1970");
  let later = await db.store.nowUs();
  while (later === first) later = await db.store.nowUs();
  assert.ok(later > (first ?? 0));
});

mysqlTest("rule 1: a deadlock runs the whole transaction again", async (open) => {
  const reruns: string[] = [];
  const db = await open({ onRerun: (name) => reruns.push(name) });
  await db.sql(async (session) => {
    await put(session, "a");
    await put(session, "b");
  });
  const bothHold = meeting(2);
  let runs = 0;
  const cross = (first: string, second: string, value: string) =>
    db.database.transact("cross", async (session) => {
      runs += 1;
      await set(session, first, value);
      // Only the first runs wait for each other, so that each holds what the other wants.
      if (runs <= 2) await bothHold();
      await set(session, second, value);
    });
  await Promise.all([cross("a", "b", "1"), cross("b", "a", "2")]);
  assert.deepEqual(reruns, ["cross"]);
  assert.equal(runs, 3);
  assert.equal(await factOf(db, "a"), await factOf(db, "b"), "both rows are of one transaction");
});

/** Resolves for all when so many have come. */
function meeting(count: number): () => Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let come = 0;
  return () => {
    come += 1;
    if (come === count) resolve();
    return promise;
  };
}

mysqlTest("rule 1: a transaction that always loses gives up with StoreUnavailable after a bound", async (open) => {
  const db = await open();
  let runs = 0;
  const losing = db.database.transact("losing", async (session) => {
    runs += 1;
    await session.execute("SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213, MESSAGE_TEXT = 'Deadlock found'");
  });
  await assert.rejects(losing, StoreUnavailable);
  assert.equal(runs, MAX_RUNS);
});

mysqlTest("a body that swallows the loss of its transaction does not commit the rest", async (open) => {
  const db = await open();
  let runs = 0;
  await db.database.transact("swallowing", async (session) => {
    runs += 1;
    if (runs > 1) return;
    await put(session, "half");
    await session
      .execute("SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213, MESSAGE_TEXT = 'Deadlock found'")
      .catch(() => {});
  });
  assert.equal(runs, 2);
  assert.equal(await factOf(db, "half"), null);
});

mysqlTest("a connection lost in the body is StoreUnavailable, one lost in COMMIT is CommitUnknown", async (open) => {
  const looker = await open();
  let killBefore = "";
  let connectionId = 0;
  const victim = await open({
    onStatement: async (_name, sql) => {
      if (sql !== killBefore) return;
      await looker.database.read("kill", (session) => session.execute(`KILL ${connectionId}`));
    },
  });
  const run = () =>
    victim.database.transact("victim", async (session) => {
      const [row] = await session.query("SELECT CONNECTION_ID() AS id");
      connectionId = row === undefined ? 0 : int(row, "id");
      await session.query("SELECT 1 AS one");
    });
  killBefore = "SELECT 1 AS one";
  const inBody = await run().then(
    () => null,
    (error: unknown) => error,
  );
  assert.ok(inBody instanceof StoreUnavailable && !(inBody instanceof CommitUnknown), String(inBody));
  killBefore = "COMMIT";
  await assert.rejects(run(), CommitUnknown);
  killBefore = "";
  await run();
});

mysqlTest(
  "a connection that is lost in a change that is its own transaction leaves the outcome unknown",
  async (open) => {
    const looker = await open();
    let connectionId = 0;
    let killBefore = "";
    const victim = await open({
      onStatement: async (name, sql) => {
        if (name !== "victim" || killBefore === "" || !sql.startsWith(killBefore)) return;
        await looker.database.read("kill", (session) => session.execute(`KILL ${connectionId}`));
      },
    });
    let runs = 0;
    const run = (value: string) =>
      victim.database.transactOne("victim", async (session) => {
        runs += 1;
        const [row] = await session.queryWithNow("SELECT CONNECTION_ID() AS id");
        connectionId = row === undefined ? 0 : int(row, "id");
        assert.ok((await session.nowUs()) > 0);
        await put(session, value);
      });
    await run("alone");
    assert.equal(await factOf(looker, "alone"), "0");
    killBefore = "INSERT";
    await assert.rejects(run("lost"), CommitUnknown);
    assert.equal(runs, 2, "a change whose outcome is unknown does not run again by itself");
  },
);

mysqlTest("a connection that died in the pool costs a transaction nothing", async (open) => {
  const looker = await open();
  let runs = 0;
  let victimId = 0;
  const db = await open({
    onStatement: async (name, sql) => {
      if (name !== "victim" || sql !== "START TRANSACTION" || victimId === 0) return;
      const id = victimId;
      victimId = 0;
      await looker.database.read("kill", (session) => session.execute(`KILL ${id}`));
    },
  });
  // The pool gives the connection that it got back last.
  await db.database.read("look", async (session) => {
    const [row] = await session.query("SELECT CONNECTION_ID() AS id");
    victimId = row === undefined ? 0 : int(row, "id");
  });
  await db.database.transact("victim", async (session) => {
    runs += 1;
    await put(session, "stored");
  });
  assert.deepEqual([runs, victimId, await factOf(looker, "stored")], [1, 0, "0"]);
});

mysqlTest("processes that start together migrate once", async (open) => {
  const db = await open();
  await db.sql((session) => session.execute("DROP TABLE schema_migrations, mesh, gates"));
  await Promise.all([open(), open(), open()]);
  const rows = await db.sql((session) => session.query("SELECT name FROM schema_migrations ORDER BY id"));
  assert.deepEqual(
    rows.map((row) => row.name),
    migrations.map(({ name }) => name),
  );
  assert.equal(await factOf(db, "nothing"), null, "a migration that was cut off goes on where it was");
});
