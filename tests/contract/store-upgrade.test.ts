/** A store that an earlier version made is brought up to date with what it holds. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { migrations } from "../../services/common/adapter/sql/migration/migrations.ts";
import type { SqlSession } from "../../services/common/adapter/sql/session.ts";
import { everyExecution } from "../support/execution-filter.ts";
import { newExecution, submission } from "../support/execution-store.ts";
import { storeBackends, type TestDatabase } from "../support/store.ts";

/** A migration that walks over what is stored. */
const WALK = "EndSchema1796774400000";
const INITIAL = "InitialSchema1795392000000";
/** What the migrations after the first have added to executions; to executors drain_us, and a table of turns; and one of descriptors. */
const INDEXES = ["ix_executions_deadline", "ix_executions_expire", "ux_executions_unique"];
const COLUMNS = [
  "start_deadline_us",
  "give_up_us",
  "expire_us",
  "live_unique_key",
  "retry_of",
  "parameters",
  "progress",
];

/** Takes all migrations but the first back, as the first version's store was. */
async function downgrade({ kind }: TestDatabase, session: SqlSession): Promise<void> {
  for (const index of INDEXES) {
    await session.execute(kind === "mysql" ? `DROP INDEX ${index} ON executions` : `DROP INDEX ${index}`);
  }
  await session.execute("DROP TABLE execution_labels");
  await session.execute("DROP TABLE unsuccessful_ends");
  for (const column of COLUMNS) await session.execute(`ALTER TABLE executions DROP COLUMN ${column}`);
  await session.execute("ALTER TABLE jobs DROP COLUMN parameters");
  await session.execute("ALTER TABLE executors DROP COLUMN drain_us");
  await session.execute("DROP TABLE pin_turns");
  await session.execute("DROP TABLE namespace_methods");
  await forgetLater(session);
}

async function forgetLater(session: SqlSession): Promise<void> {
  await session.execute("DELETE FROM schema_migrations WHERE name <> ?", [INITIAL]);
}

// A store in memory has no earlier version.
for (const backend of storeBackends.filter(({ name }) => name !== "sqlite memory")) {
  test(`${backend.name}: executions of the first version are there after the migration, and can be run`, async () => {
    const first = await backend.open();
    let second: TestDatabase | null = null;
    try {
      const waiting = newExecution({ labels: { team: "blue" } });
      await first.store.executions.submit([submission(waiting)]);
      await first.sql((session) => downgrade(first, session));
      await first.stop();
      second = await first.again();
      const names = await second.sql((session) => session.query("SELECT name FROM schema_migrations ORDER BY id"));
      assert.deepEqual(
        names.map((row) => row.name),
        migrations.map(({ name }) => name),
      );
      const stored = await second.store.executions.get(waiting.executionId);
      assert.deepEqual([stored?.state, stored?.startDeadlineUs], ["READY", null]);
      const filter = { ...everyExecution, namespace: "default", labels: { team: "blue" } };
      const listed = await second.store.executions.list(filter, 10, null, false);
      assert.deepEqual(
        listed.items.map(({ executionId, progress }) => [executionId, progress]),
        [[waiting.executionId, null]],
        "by its label, which the migration has written",
      );
      assert.equal((await second.store.executions.requestStop(waiting.executionId, "CANCEL", "")).kind, "ended");
      assert.deepEqual(await second.store.executions.expire(10), []);
    } finally {
      await second?.stop();
      await first.close();
    }
  });

  test(`${backend.name}: what ended and what was retried before the migration is found by it`, async () => {
    const first = await backend.open();
    let second: TestDatabase | null = null;
    try {
      const retried = newExecution({ cause: "RETRY_EXECUTION", labels: { team: "blue" } });
      const waiting = Array.from({ length: 2_100 }, () => newExecution());
      for (let from = 0; from < waiting.length; from += 500) {
        await first.store.executions.submit(waiting.slice(from, from + 500).map((one) => submission(one)));
      }
      await first.store.executions.submit([submission(retried)]);
      const sorted = waiting.map(({ executionId }) => executionId).sort();
      const ended = [sorted[0], sorted[1_500], sorted.at(-1)].map((id) => id ?? assert.fail());
      for (const id of ended) await first.store.executions.requestStop(id, "CANCEL", "");
      await first.sql((session) => downgrade(first, session));
      await first.stop();
      second = await first.again();
      const list = async (filter: Partial<typeof everyExecution>) => {
        const { items } = await (second ?? first).store.executions.list(
          { ...everyExecution, ...filter },
          10,
          null,
          false,
        );
        return items.map(({ executionId }) => executionId);
      };
      assert.deepEqual(await list({ states: ["CANCELLED"] }), ended.toReversed());
      assert.deepEqual(await list({ causes: ["RETRY_EXECUTION"] }), [retried.executionId]);
      assert.deepEqual(await list({ namespace: "default", labels: { team: "blue" } }), [retried.executionId]);
      const places = await second.sql((session) => session.query("SELECT name FROM feeds"));
      assert.deepEqual(places, [], "a walk that is done leaves no place");
    } finally {
      await second?.stop();
      await first.close();
    }
  });

  test(`${backend.name}: migrations that were cut off before they were noted are not run twice`, async () => {
    const first = await backend.open();
    let second: TestDatabase | null = null;
    try {
      await first.sql(forgetLater);
      await first.stop();
      second = await first.again();
      assert.deepEqual(await second.store.executions.expire(10), []);
    } finally {
      await second?.stop();
      await first.close();
    }
  });
}

// On SQLite a migration is one transaction, which a crash takes back.
for (const backend of storeBackends.filter(({ kind }) => kind === "mysql")) {
  test(`${backend.name}: a migration that was cut off in its walk goes on where it was`, async () => {
    const first = await backend.open();
    let second: TestDatabase | null = null;
    try {
      const executions = Array.from({ length: 3 }, () => newExecution()).sort((a, b) =>
        a.executionId < b.executionId ? -1 : 1,
      );
      const ids = executions.map(({ executionId }) => executionId);
      await first.store.executions.submit(executions.map((one) => submission(one)));
      for (const id of ids) await first.store.executions.requestStop(id, "CANCEL", "");
      await first.sql(async (session) => {
        await session.execute("DELETE FROM unsuccessful_ends");
        await session.execute("DELETE FROM schema_migrations WHERE name = ?", [WALK]);
        await session.execute("INSERT INTO feeds (name, execution_id) VALUES (?, ?)", [WALK, ids[1] ?? ""]);
      });
      await first.stop();
      second = await first.again();
      const noted = await second.sql((session) => session.query("SELECT execution_id FROM unsuccessful_ends"));
      assert.deepEqual(
        noted.map((row) => row.execution_id),
        ids.slice(2),
        "what lies before its place is not walked again",
      );
      assert.deepEqual(await second.sql((session) => session.query("SELECT name FROM feeds")), []);
    } finally {
      await second?.stop();
      await first.close();
    }
  });
}
