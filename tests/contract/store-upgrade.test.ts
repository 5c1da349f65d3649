/** A store that an earlier version made is brought up to date with what it holds. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { migrations } from "../../services/common/adapter/sql/migration/migrations.ts";
import type { SqlSession } from "../../services/common/adapter/sql/session.ts";
import { everyExecution } from "../support/execution-filter.ts";
import { newExecution, submission } from "../support/execution-store.ts";
import { storeBackends, type TestDatabase } from "../support/store.ts";

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
