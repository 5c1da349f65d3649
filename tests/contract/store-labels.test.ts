/** Lists by label: of a long history a page reads what carries the label, on both engines by its index. */
import assert from "node:assert/strict";
import { labelHash } from "../../services/common/adapter/sql/execution-labels.ts";
import { SqlRetentionStore } from "../../services/common/adapter/sql/retention.ts";
import { randomExecutionId } from "../../services/common/domain/execution-id.ts";
import type { ExecutionId } from "../../services/common/domain/identifier.ts";
import type { ExecutionFilter } from "../../services/common/port/store-executions.ts";
import { SystemRandom } from "../../services/common/runtime/system-random.ts";
import { everyExecution } from "../support/execution-filter.ts";
import { addHistory } from "../support/execution-history.ts";
import {
  addExecutor,
  dispatched,
  newExecution,
  onEveryStore,
  resultOf,
  type StoreSetup,
  submission,
  submitAll,
} from "../support/execution-store.ts";

const random = new SystemRandom();
const T0_MS = 1_700_000_000_000;
const blue = { namespace: "default", labels: { team: "blue" } };

function at(ms: number, more: Parameters<typeof newExecution>[0] = {}) {
  const timeMs = T0_MS + ms;
  const scheduledUs = timeMs * 1_000;
  return newExecution({
    executionId: randomExecutionId(timeMs, random.bytes(10)),
    scheduledUs,
    readyUs: scheduledUs,
    ...more,
  });
}

async function pagesOf(
  { store }: StoreSetup,
  filter: Partial<ExecutionFilter>,
  size: number,
): Promise<ExecutionId[][]> {
  const pages: ExecutionId[][] = [];
  for (let token: string | null = null; pages.length === 0 || token !== null; ) {
    const page: Awaited<ReturnType<typeof store.list>> = await store.list(
      { ...everyExecution, ...filter },
      size,
      token,
      false,
    );
    pages.push(page.items.map(({ executionId }) => executionId));
    token = page.nextToken;
    assert.ok(pages.length < 50, "the list ends");
  }
  return pages;
}

onEveryStore("a list by labels takes what carries all of them, and meets the rest of the filter", async (setup) => {
  const executions = [
    at(0, { labels: { team: "blue", zone: "a" } }),
    at(1, { labels: { team: "blue" }, cause: "RUN_JOB" }),
    at(2, { labels: { team: "blue" }, namespace: "other" }),
    at(3, { labels: { team: "bluer", zone: "a" } }),
    at(4, { labels: { team: "blue", zone: "a" }, jobId: "job-1" }),
  ];
  await submitAll(setup, executions);
  const cases: [Partial<ExecutionFilter>, number[]][] = [
    [blue, [4, 1, 0]],
    [{ ...blue, labels: { zone: "a", team: "blue" } }, [4, 0]],
    [{ ...blue, causes: ["RUN_JOB"] }, [1]],
    [{ ...blue, namespace: "other" }, [2]],
    [{ ...blue, namespace: null }, [4, 2, 1, 0]],
    [{ ...blue, jobId: "job-1" }, [4]],
    [{ ...blue, scheduledAfterUs: (T0_MS + 1) * 1_000 }, [4, 1]],
    [{ ...blue, scheduledBeforeUs: (T0_MS + 1) * 1_000 }, [0]],
    [{ ...blue, states: ["SUCCEEDED"] }, []],
    [{ ...blue, labels: { team: "red" } }, []],
  ];
  for (const [filter, wanted] of cases) {
    const found = (await pagesOf(setup, filter, 2)).flat();
    const ids = wanted.map((index) => executions[index]?.executionId);
    assert.deepEqual(found, ids, JSON.stringify(filter));
    const counts = await setup.store.count({ ...everyExecution, ...filter });
    assert.equal(
      counts.reduce((sum, { count }) => sum + count, 0),
      wanted.length,
    );
  }
});

onEveryStore("a page of a label goes on where it was while executions are added", async (setup) => {
  const executions = Array.from({ length: 1_300 }, (_, index) => at(index * 2, { labels: { team: "blue" } }));
  await submitAll(setup, executions);
  const ids = executions.map(({ executionId }) => executionId).reverse();
  const filter = { ...everyExecution, ...blue };
  const first = await setup.store.list(filter, 600, null, false);
  await submitAll(setup, [at(9_999, { labels: { team: "blue" } }), at(2_591, { labels: { team: "blue" } })]);
  const second = await setup.store.list(filter, 600, first.nextToken, false);
  const third = await setup.store.list(filter, 600, second.nextToken, false);
  const seen = [first, second, third].flatMap(({ items }) => items.map(({ executionId }) => executionId));
  assert.deepEqual(seen, ids, "those that were there, each once, in order");
  assert.equal(third.nextToken, null);
});

onEveryStore("two labels of one hash are told apart", async (setup) => {
  const [one] = await submitAll(setup, [at(0, { labels: { team: "red" } })]);
  const collision = labelHash("default", "team", "blue");
  await setup.sql((session) => session.execute("UPDATE execution_labels SET label = ?", [collision]));
  assert.deepEqual(await pagesOf(setup, blue, 3), [[]]);
  assert.notEqual(one, undefined);
});

onEveryStore("what has no labels writes none, and what is deleted leaves none", async (setup) => {
  const placement = await addExecutor(setup);
  await submitAll(setup, [at(0)]);
  const running = await dispatched(setup, placement, { labels: { team: "blue", zone: "a" } });
  assert.equal((await setup.rows("SELECT label FROM execution_labels")).length, 2);
  await setup.store.storeResults([resultOf(running)], null);
  await new SqlRetentionStore(setup.database).deleteEnded(Number.MAX_SAFE_INTEGER, null, 10);
  assert.deepEqual(await setup.rows("SELECT label FROM execution_labels"), []);
});

onEveryStore("a submission that is taken back leaves no label, the others of its group theirs", async (setup) => {
  const good = at(0, { labels: { team: "blue" } });
  const bad = at(1, { labels: { team: "blue" }, target: { ...good.target, bytes: new Uint8Array(600 * 1024) } });
  const outcomes = await setup.store.submit([submission(good), submission(bad)]);
  assert.deepEqual(
    outcomes.map(({ kind }) => kind),
    ["stored", "refused"],
  );
  const rows = await setup.rows("SELECT execution_id FROM execution_labels");
  assert.deepEqual(
    rows.map((row) => row.execution_id),
    [good.executionId],
  );
});

onEveryStore("a page of a label reads a bounded part of a history of 200,000, and finds all of it", async (setup) => {
  const needles = Array.from({ length: 5 }, (_, index) => at(index * 40_000 + 1, { labels: { team: "blue" } }));
  await submitAll(setup, needles);
  await addHistory(setup, T0_MS, 200_000);
  if (setup.kind === "mysql") await setup.sql((session) => session.query("ANALYZE TABLE executions, execution_labels"));
  const wanted = needles.map(({ executionId }) => executionId).reverse();
  const statements = await setup.statementsOf(async () => {
    assert.deepEqual(await pagesOf(setup, blue, 3), [wanted.slice(0, 3), wanted.slice(3)]);
  });
  assert.equal(statements.length, 4, "one look at the index and one at its rows, a page");
  for (const { sql, params } of statements) {
    const explain = setup.kind === "mysql" ? "EXPLAIN" : "EXPLAIN QUERY PLAN";
    const [plan] = await setup.sql((session) => session.query(`${explain} ${sql}`, params));
    const text = JSON.stringify(plan);
    const index = sql.includes("FROM execution_labels")
      ? /ix_execution_labels_label/
      : /"key":"PRIMARY"|autoindex_executions_1/;
    assert.match(text, index);
    assert.doesNotMatch(text, /SCAN|filesort|TEMP B-TREE/);
    if (setup.kind === "mysql") assert.ok(Number(plan?.rows) <= 16, `reads ${plan?.rows} rows`);
  }
  // Of a filter that no index answers a page reads 5,000 rows and goes on.
  const reads = await setup.statementsOf(async () => {
    const page = await setup.store.list({ ...everyExecution, causes: ["RUN_JOB"] }, 10, null, false);
    assert.deepEqual([page.items.length, page.nextToken !== null], [0, true]);
  });
  assert.equal(reads.length, 2);
  assert.deepEqual(await setup.store.count({ ...everyExecution, ...blue }), [{ state: "READY", count: 5 }]);
  // So many rows are not deleted in the time that a statement has.
  if (setup.kind === "mysql") await setup.sql((session) => session.execute("TRUNCATE TABLE executions"));
});
