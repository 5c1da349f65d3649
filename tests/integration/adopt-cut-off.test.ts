/** An adoption that is cut off at any place, started by several at once, or refused: on a real MariaDB. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { initialMysql } from "../../services/common/adapter/sql/migration/initial-mysql.ts";
import { latestExecutions, migrate, withDatabase, withStore } from "../support/adopted-database.ts";
import { type Backends, startBackends } from "../support/backends.ts";
import { makeOriginal, ORIGINAL_DDL, ORIGINAL_LOGS, withConnection } from "../support/original-tables.ts";

let backends: Backends;

before(async () => {
  backends = await startBackends({ mysql: true });
});
after(() => backends.stop());

/** Everything that was adopted, but what depends on when. */
function contentOf(url: string): Promise<unknown> {
  return withConnection(url, async (query) => ({
    jobs: (await query("SELECT * FROM jobs ORDER BY job_id")).map(({ next_fire_us, schedule, ...row }) => ({
      ...row,
      fires: next_fire_us !== null,
      schedule: String(schedule).replace(/"atMs":\d+/, ""),
    })),
    logs: await query("SELECT * FROM job_logs ORDER BY id"),
    executions: (await query("SELECT * FROM executions ORDER BY execution_id")).map((row) => ({
      ...row,
      ...(row.job_id === "each-second" ? { ended_us: "now" } : {}),
      expire_us: `in ${Math.round((Number(row.expire_us) / 1_000 - Date.now()) / 86_400_000)} days`,
    })),
    ends: await query("SELECT * FROM unsuccessful_ends ORDER BY execution_id"),
    pieces: await query("SELECT * FROM output_pieces ORDER BY execution_id"),
    notes: (await query("SELECT name FROM mesh ORDER BY name")).map(({ name }) => name),
    routes: await query("SELECT * FROM routes"),
  }));
}

class CutOff extends Error {}

test("an adoption that is cut off before any of its statements ends right at the next start", async (t) => {
  const whole = await withDatabase(backends.mysqlUrl, async (url) => {
    await makeOriginal(url);
    await migrate(url);
    return await contentOf(url);
  });
  let last = false;
  let stops = 0;
  for (; !last; stops += 1) {
    await withDatabase(backends.mysqlUrl, async (url) => {
      await makeOriginal(url);
      let left = stops;
      const cut = migrate(url, {
        onStatement: () => {
          left -= 1;
          if (left < 0) throw new CutOff();
        },
      });
      last = await cut.then(
        () => true,
        (error: unknown) => {
          if (!(error instanceof CutOff)) throw error;
          return false;
        },
      );
      await migrate(url);
      assert.deepEqual(await contentOf(url), whole, `cut off before statement ${stops + 1}`);
    });
  }
  t.diagnostic(`cut off before each of ${stops - 1} statements`);
  assert.ok(stops > 20);
});

test("an adoption that was begun in one time zone goes on in it, whatever the next start names", async () => {
  await withDatabase(backends.mysqlUrl, async (url) => {
    await makeOriginal(url);
    const onStatement = (name: string): void => {
      if (name === "adopt.logs") throw new CutOff();
    };
    await assert.rejects(migrate(url, { onStatement, adoptTimeZone: "Asia/Shanghai" }), CutOff);
    await migrate(url);
    const rows = await withConnection(url, (query) => query("SELECT start_time FROM job_logs WHERE id = 1"));
    assert.deepEqual(rows, [{ start_time: "2024-03-01 00:00:01.000000" }]);
  });
});

test("a first migration that is cut off after the tables were moved goes on from there", async () => {
  for (const made of [1, 7, initialMysql.length]) {
    await withDatabase(backends.mysqlUrl, async (url) => {
      await makeOriginal(url);
      await withConnection(url, async (query) => {
        await query(
          "RENAME TABLE jobs TO original_jobs, job_logs TO original_job_logs, executors TO original_executors",
        );
        for (const ddl of initialMysql.slice(0, made)) await query(ddl);
      });
      await withStore(url, async (store) => {
        assert.equal((await latestExecutions(store)).length, ORIGINAL_LOGS.length);
        assert.ok(await store.jobs.get("default", "nightly"));
      });
    });
  }
});

test("processes that start together adopt once", async () => {
  await withDatabase(backends.mysqlUrl, async (url) => {
    await makeOriginal(url);
    await Promise.all([migrate(url), migrate(url), migrate(url)]);
    await withStore(url, async (store) => {
      assert.equal((await latestExecutions(store)).length, ORIGINAL_LOGS.length);
    });
  });
});

test("what was adopted is not adopted again, and the tables that were kept can be dropped", async () => {
  await withDatabase(backends.mysqlUrl, async (url) => {
    await makeOriginal(url);
    await withStore(url, (store) => store.jobs.delete("default", "nightly", null));
    await migrate(url);
    await withStore(url, async (store) => assert.equal(await store.jobs.get("default", "nightly"), null));
    await withConnection(url, (query) => query("DROP TABLE original_jobs, original_job_logs, original_executors"));
    await withStore(url, async (store) => {
      assert.equal((await latestExecutions(store)).length, ORIGINAL_LOGS.length);
    });
  });
});

test("jobs without logs, and logs without jobs, are adopted", async () => {
  for (const gone of ["job_logs", "jobs"]) {
    await withDatabase(backends.mysqlUrl, async (url) => {
      await makeOriginal(url);
      await withConnection(url, (query) => query(`DROP TABLE ${gone}, executors`));
      await withStore(url, async (store) => {
        const job = await store.jobs.get("default", "once-done");
        const logs = await latestExecutions(store);
        assert.deepEqual([job?.nextFireUs !== undefined, logs.length], gone === "jobs" ? [false, 9] : [true, 0]);
      });
    });
  }
});

/** What is done to the original's tables, and the table and column that the refusal names. */
const REFUSED: readonly (readonly [change: string, table: string, column?: string])[] = [
  ["ALTER TABLE jobs DROP COLUMN retry_interval", "jobs", "retry_interval"],
  ["ALTER TABLE jobs ADD COLUMN owner TEXT", "jobs", "owner"],
  ["ALTER TABLE jobs MODIFY priority VARCHAR(10)", "jobs", "priority"],
  ["ALTER TABLE job_logs MODIFY start_time BIGINT", "job_logs", "start_time"],
  ["ALTER TABLE job_logs DROP COLUMN output", "job_logs", "output"],
  ["UPDATE jobs SET job_id = 'a job' WHERE job_id = 'nightly'", "jobs", "job_id"],
  ["UPDATE jobs SET job_id = 'nacht\\n' WHERE job_id = 'nightly'", "jobs", "job_id"],
  ["UPDATE jobs SET job_id = 'nächtlich' WHERE job_id = 'nightly'", "jobs", "job_id"],
  ["UPDATE job_logs SET job_id = '' WHERE id = 5", "job_logs", "job_id"],
  ["UPDATE job_logs SET executor_id = 'büro' WHERE id = 5", "job_logs", "executor_id"],
  ["UPDATE job_logs SET status = 5 WHERE id = 5", "job_logs", "status"],
  ["UPDATE job_logs SET status = -1 WHERE id = 12", "job_logs", "status"],
  ["ALTER TABLE jobs DROP PRIMARY KEY; INSERT INTO jobs SELECT * FROM jobs", "jobs", "job_id"],
  ["CREATE TABLE routes (id INT PRIMARY KEY, path TEXT)", "routes", "route_id"],
  ["ALTER TABLE executors DROP COLUMN host", "executors", "host"],
  ["CREATE TABLE original_jobs (id INT)", "original_jobs"],
];

for (const [change, table, column] of REFUSED) {
  test(`refused with BACKEND_UNSUITABLE, and nothing is changed: ${change.slice(0, 60)}`, async () => {
    await withDatabase(backends.mysqlUrl, async (url) => {
      await makeOriginal(url);
      const before = await withConnection(url, async (query) => {
        for (const statement of change.split("; ")) await query(statement);
        return await dumpOf(query);
      });
      await assert.rejects(migrate(url), {
        reason: "BACKEND_UNSUITABLE",
        metadata: column === undefined ? { table } : { table, column },
        message: new RegExp(`${column ?? table}.*; nothing was changed$`),
      });
      assert.deepEqual(await withConnection(url, dumpOf), before);
    });
  });
}

/** Every table with its rows. */
async function dumpOf(query: (sql: string) => Promise<Record<string, unknown>[]>): Promise<unknown> {
  const names = (await query("SHOW TABLES")).map((row) => String(Object.values(row)[0])).sort();
  const dump: Record<string, unknown> = {};
  for (const name of names)
    dump[name] = [await query(`SHOW CREATE TABLE ${name}`), await query(`SELECT * FROM ${name}`)];
  return dump;
}

test("a table named jobs that is another product's is refused", async () => {
  await withDatabase(backends.mysqlUrl, async (url) => {
    await withConnection(url, (query) => query("CREATE TABLE jobs (id BIGINT PRIMARY KEY, queue TEXT, payload TEXT)"));
    await assert.rejects(migrate(url), { reason: "BACKEND_UNSUITABLE", metadata: { table: "jobs", column: "job_id" } });
    await withConnection(url, async (query) => {
      assert.deepEqual((await query("SHOW TABLES")).length, 1);
      await query("DROP TABLE jobs");
      await query(ORIGINAL_DDL.jobs);
    });
    await migrate(url);
  });
});
