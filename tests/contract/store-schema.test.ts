import assert from "node:assert/strict";
import { test } from "node:test";
import { DataSource, type DataSourceOptions } from "typeorm";
import { dataSourceOptions } from "../../services/common/adapter/mysql/connection.ts";
import { entities } from "../../services/common/adapter/sql/entity/entities.ts";
import { MIGRATIONS_TABLE } from "../../services/common/adapter/sql/migration/migrations.ts";
import { storeBackends, type TestDatabase } from "../support/store.ts";

/** Columns that a reader of the original's tables asks for, in this order. */
const ORIGINAL = {
  jobs: "job_id, name, command, type, priority, cron_expression, timeout, retry_count, retry_interval, create_time, update_time",
  job_logs: "id, job_id, executor_id, status, start_time, end_time, output, error",
};

// The memory's schema is a copy of what the same migrations made.
for (const backend of storeBackends.filter(({ name }) => name !== "sqlite memory")) {
  test(`${backend.name}: the migrated schema is what the entities say`, async () => {
    const test = await backend.open();
    try {
      const source = await new DataSource(optionsFor(test)).initialize();
      const { upQueries } = await source.driver.createSchemaBuilder().log();
      await source.destroy();
      assert.deepEqual(
        upQueries.map(({ query }) => query),
        [],
      );
    } finally {
      await test.close();
    }
  });
}

for (const backend of storeBackends) {
  test(`${backend.name}: a reader of the original's tables finds its columns`, async () => {
    const test = await backend.open();
    try {
      for (const [table, columns] of Object.entries(ORIGINAL)) {
        assert.deepEqual(await test.sql((session) => session.query(`SELECT ${columns} FROM ${table}`)), []);
      }
    } finally {
      await test.close();
    }
  });
}

function optionsFor(test: TestDatabase): DataSourceOptions {
  if (test.kind === "mysql") return dataSourceOptions(test.url, 1, "mariadb");
  return {
    type: "better-sqlite3",
    database: test.url.slice("sqlite:".length),
    entities: entities("sqlite"),
    migrationsTableName: MIGRATIONS_TABLE,
  };
}

for (const backend of storeBackends.filter(({ kind }) => kind === "mysql")) {
  test("rule 8: all text compares by byte on MySQL", async () => {
    const database = await backend.open();
    try {
      const rows = await database.sql((session) =>
        session.query(
          `SELECT table_name, column_name, collation_name FROM information_schema.columns
            WHERE table_schema = DATABASE() AND collation_name IS NOT NULL AND table_name <> ?`,
          [MIGRATIONS_TABLE],
        ),
      );
      assert.ok(rows.length > 50);
      assert.deepEqual(
        rows.filter((row) => !/_bin$/.test(String(row.collation_name ?? row.COLLATION_NAME))),
        [],
      );
    } finally {
      await database.close();
    }
  });

  test("rules 1 and 34: each connection has the limits of a transaction", async () => {
    const database = await backend.open();
    try {
      const many = Array.from({ length: 20 }, () =>
        database.sql((session) =>
          session.query(
            `SELECT @@session.tx_isolation AS isolation, @@session.idle_transaction_timeout AS idle,
              @@session.max_statement_time AS statement, @@session.time_zone AS zone`,
          ),
        ),
      );
      for (const [row] of await Promise.all(many)) {
        assert.deepEqual({ ...row }, { isolation: "READ-COMMITTED", idle: "5", statement: 5, zone: "+00:00" });
      }
    } finally {
      await database.close();
    }
  });
}
