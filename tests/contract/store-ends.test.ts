/** Lists by state and reason: of a history that succeeded a page reads what did not, on both engines by an index. */
import assert from "node:assert/strict";
import { SqlRetentionStore } from "../../services/common/adapter/sql/retention.ts";
import { randomExecutionId } from "../../services/common/domain/execution-id.ts";
import type { ExecutionId } from "../../services/common/domain/identifier.ts";
import { defaultPolicy } from "../../services/common/domain/policy.ts";
import type { ExecutionFilter, Placement } from "../../services/common/port/store-executions.ts";
import { SystemRandom } from "../../services/common/runtime/system-random.ts";
import { everyExecution } from "../support/execution-filter.ts";
import { addHistory } from "../support/execution-history.ts";
import {
  addExecutor,
  dispatched,
  failed,
  newExecution,
  onEveryStore,
  onMysql,
  resultOf,
  type StoreSetup,
  slot,
  submission,
  submitAll,
} from "../support/execution-store.ts";
import { checkInvariants } from "../support/store-invariants.ts";

const random = new SystemRandom();
const T0_MS = 1_700_000_000_000;
type Filter = Partial<ExecutionFilter>;

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

/** Executions, one a millisecond from `fromMs` on, that ended as FAILED. */
async function fail(setup: StoreSetup, placement: Placement, fromMs: number, count: number) {
  const outcomes = await setup.store.submit(
    Array.from({ length: count }, (_, index) => submission(at(fromMs + index), { slot: slot(placement) })),
  );
  const executions = outcomes.flatMap((one) => (one.kind === "stored" ? [one.execution] : []));
  assert.equal(executions.length, count);
  await setup.store.storeResults(
    executions.map((one) => resultOf(one, failed())),
    null,
  );
  return executions.map(({ executionId }) => executionId);
}

async function pagesOf({ store }: StoreSetup, filter: Filter, size: number): Promise<ExecutionId[][]> {
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

async function countOf({ store }: StoreSetup, filter: Filter): Promise<number> {
  const counts = await store.count({ ...everyExecution, ...filter });
  return counts.reduce((sum, { count }) => sum + count, 0);
}

/** Executions in every kind of state, oldest first, by what made them so. */
async function sample(setup: StoreSetup) {
  const { store } = setup;
  const placement = await addExecutor(setup);
  const nowUs = await setup.nowUs();
  const names = new Map<ExecutionId, string>();
  const named = (name: string, { executionId }: { readonly executionId: ExecutionId }) => names.set(executionId, name);
  const ended = async (name: string, ms: number, outcome: Parameters<typeof resultOf>[1], more = {}) => {
    const one = await dispatched(setup, placement, at(ms, more));
    await store.storeResults([resultOf(one, outcome)], null);
    named(name, one);
  };
  await ended("succeeded", 0, undefined);
  await ended("failed", 1, failed(), { jobId: "job-1" });
  await ended("failed elsewhere", 2, failed(), { namespace: "other" });
  const [cancelled] = await submitAll(setup, [at(3, { jobId: "job-1" })]);
  if (cancelled === undefined) assert.fail();
  await store.requestStop(cancelled.executionId, "CANCEL", "");
  named("cancelled", cancelled);
  const [expired] = await submitAll(setup, [at(4, { policy: { ...defaultPolicy, startDeadlineMs: 1 } })]);
  await store.expire(10);
  named("expired", expired ?? assert.fail());
  const policy = { ...defaultPolicy, lostPolicy: "FAIL" } as const;
  const lost = await dispatched(setup, placement, at(5, { policy }));
  await store.storeResults([resultOf(lost, { kind: "returned", reason: "UNKNOWN", message: "" })], null);
  named("lost", lost);
  const [ready] = await submitAll(setup, [at(6)]);
  named("ready", ready ?? assert.fail());
  const [later] = await submitAll(setup, [at(7, { readyUs: nowUs + 3_600_000_000 })]);
  named("scheduled", later ?? assert.fail());
  named("running", await dispatched(setup, placement, at(8)));
  const [again] = await submitAll(setup, [at(9, { cause: "RETRY_EXECUTION", readyUs: nowUs + 3_600_000_000 })]);
  named("retry", again ?? assert.fail());
  return names;
}

onEveryStore("states and reasons take what they name, alone and together with all else", async (setup) => {
  const names = await sample(setup);
  const cases: [Filter, string[]][] = [
    [{ states: ["FAILED"] }, ["failed elsewhere", "failed"]],
    [{ states: ["FAILED"], namespace: "default" }, ["failed"]],
    [{ states: ["FAILED", "CANCELLED"], jobId: "job-1", namespace: "default" }, ["cancelled", "failed"]],
    [{ states: ["FAILED"], jobId: "job-1" }, ["failed"]],
    [{ states: ["FAILED", "SUCCEEDED"] }, ["failed elsewhere", "failed", "succeeded"]],
    [{ states: ["FAILED", "READY"] }, ["ready", "failed elsewhere", "failed"]],
    [{ states: ["SCHEDULED", "EXPIRED"] }, ["retry", "scheduled", "expired"]],
    [{ states: ["DISPATCHED", "RUNNING", "LOST"] }, ["running", "lost"]],
    [{ states: ["TIMED_OUT"] }, []],
    [{ reasons: ["TARGET_FAILED"] }, ["failed elsewhere", "failed"]],
    [{ reasons: ["EXECUTOR_LOST", "CANCEL_REQUESTED"] }, ["lost", "cancelled"]],
    [{ reasons: ["START_DEADLINE", "RETRY_BACKOFF"], namespace: "default" }, ["expired"]],
    [{ reasons: ["START_DEADLINE"], states: ["FAILED"] }, []],
    [{ reasons: ["UNSPECIFIED"], states: ["RUNNING", "DISPATCHED", "FAILED"] }, ["running"]],
    [{ reasons: ["UNSPECIFIED"] }, ["retry", "running", "scheduled", "ready", "succeeded"]],
    [{ reasons: ["EXECUTOR_LOST"], states: ["SUCCEEDED"] }, []],
    [{ states: ["FAILED"], scheduledAfterUs: (T0_MS + 2) * 1_000 }, ["failed elsewhere"]],
    [{ states: ["FAILED"], scheduledBeforeUs: (T0_MS + 2) * 1_000 }, ["failed"]],
    [{ states: ["READY", "SCHEDULED"], scheduledBeforeUs: (T0_MS + 7) * 1_000 }, ["ready"]],
    [{ states: ["LOST", "FAILED"], executorId: "executor-1", namespace: "default" }, ["lost", "failed"]],
    [{ causes: ["RETRY_EXECUTION"] }, ["retry"]],
    [{ causes: ["RETRY_EXECUTION", "BACKFILL"], namespace: "other" }, []],
    [{ causes: ["RETRY_EXECUTION", "SUBMIT"], states: ["SCHEDULED"] }, ["retry", "scheduled"]],
    [{ causes: ["SUBMIT"], states: ["EXPIRED"] }, ["expired"]],
  ];
  for (const [filter, wanted] of cases) {
    for (const size of [1, 2, 100]) {
      const found = (await pagesOf(setup, filter, size)).flat().map((id) => names.get(id));
      assert.deepEqual(found, wanted, JSON.stringify(filter));
    }
    assert.equal(await countOf(setup, filter), wanted.length, JSON.stringify(filter));
  }
  await setup.sql((session) => checkInvariants(session, new Map()));
});

onEveryStore("a page of a state goes on where it was while executions are added and end", async (setup) => {
  const placement = await addExecutor(setup);
  const ids = await fail(setup, placement, 0, 400);
  const running = await dispatched(setup, placement, at(150));
  const filter: ExecutionFilter = { ...everyExecution, namespace: "default", states: ["FAILED", "DISPATCHED"] };
  const first = await setup.store.list(filter, 200, null, false);
  await fail(setup, placement, 1_000, 3);
  await setup.store.storeResults([resultOf(running, failed())], null);
  const second = await setup.store.list(filter, 200, first.nextToken, false);
  const third = await setup.store.list(filter, 200, second.nextToken, false);
  const seen = [first, second, third].flatMap(({ items }) => items.map(({ executionId }) => executionId));
  const wanted = [...ids, running.executionId].sort().reverse();
  assert.deepEqual(seen, wanted, "those that were there, each once, in order, also the one that ended meanwhile");
  assert.equal(third.nextToken, null);
});

onMysql("what ends while a page is read is found among the live or among the ended ones", async (setup) => {
  const running = await dispatched(setup, await addExecutor(setup), at(0));
  let ends: Promise<unknown> | null = null;
  let statements = 0;
  setup.onStatement((name) => {
    if (name !== "list_executions" || ++statements !== 2) return;
    ends = setup.store.storeResults([resultOf(running, failed())], null);
    return ends.then(() => {});
  });
  const filter: ExecutionFilter = { ...everyExecution, namespace: "default", states: ["FAILED", "DISPATCHED"] };
  const page = await setup.store.list(filter, 10, null, false);
  assert.notEqual(ends, null);
  assert.deepEqual(
    page.items.map(({ executionId }) => executionId),
    [running.executionId],
  );
});

onEveryStore(
  "more than 5,000 that wait are found by the primary key, as many as there are by their index",
  async (setup) => {
    const waiting = Array.from({ length: 5_000 }, (_, index) => at(index));
    for (let from = 0; from < waiting.length; from += 500) await submitAll(setup, waiting.slice(from, from + 500));
    const filter: Filter = { states: ["READY"], namespace: "default" };
    const page = () => setup.store.list({ ...everyExecution, ...filter }, 10, null, false);
    const byIndex = await setup.statementsOf(page);
    assert.match(byIndex[0]?.sql ?? "", /ix_executions_claim/);
    assert.doesNotMatch(byIndex[1]?.sql ?? "", /OFFSET/);
    assert.equal(await countOf(setup, filter), 5_000);
    await submitAll(setup, [at(5_000)]);
    const byKey = await setup.statementsOf(page);
    assert.match(byKey[1]?.sql ?? "", /OFFSET/);
    assert.equal(await countOf(setup, filter), 5_001);
    assert.equal((await pagesOf(setup, filter, 1_000)).flat().length, 5_001);
  },
);

onEveryStore("of more than eight namespaces together the primary key finds what ended", async (setup) => {
  const names = Array.from({ length: 9 }, (_, index) => `n${index}`);
  for (const [index, namespace] of names.entries()) {
    await submitAll(setup, [at(index, { namespace })]);
    const [page] = await pagesOf(setup, { namespace, states: ["READY"] }, 1);
    await setup.store.requestStop(page?.[0] ?? assert.fail(), "CANCEL", "");
    if (index < 7) continue;
    const [first, second] = await setup.statementsOf(async () => {
      assert.equal((await pagesOf(setup, { states: ["CANCELLED"] }, 100)).flat().length, index + 1);
    });
    assert.match(first?.sql ?? "", /GROUP BY namespace|MIN\(namespace\)/);
    assert.match(second?.sql ?? "", index === 7 ? / UNION ALL / : /OFFSET/);
  }
});

onEveryStore("what succeeds writes no end, and what is deleted leaves none", async (setup) => {
  const placement = await addExecutor(setup);
  const statements = await setup.statementsOf(async () => {
    await setup.store.storeResults([resultOf(await dispatched(setup, placement, at(0)))], null);
  });
  assert.equal(statements.filter(({ sql }) => sql.includes("unsuccessful_ends")).length, 0, "it costs nothing");
  await fail(setup, placement, 1, 2);
  assert.equal((await setup.rows("SELECT state FROM unsuccessful_ends")).length, 2);
  await new SqlRetentionStore(setup.database).deleteEnded(Number.MAX_SAFE_INTEGER, null, 10);
  assert.deepEqual(await setup.rows("SELECT execution_id FROM executions"), []);
  assert.deepEqual(await setup.rows("SELECT state FROM unsuccessful_ends"), []);
});

onEveryStore("a page of a state reads a bounded part of a history of 200,000, and finds all of it", async (setup) => {
  const needles: ExecutionId[] = [];
  const placement = await addExecutor(setup);
  for (let index = 0; index < 5; index++) needles.push(...(await fail(setup, placement, index * 40_000 + 1, 1)));
  await addHistory(setup, T0_MS, 200_000);
  await setup.sql((session) => session.execute("UPDATE executions SET claim_route = NULL, state = 5 WHERE state = 2"));
  if (setup.kind === "mysql")
    await setup.sql((session) => session.query("ANALYZE TABLE executions, unsuccessful_ends"));
  const wanted = needles.reverse();
  const explain = setup.kind === "mysql" ? "EXPLAIN" : "EXPLAIN QUERY PLAN";
  const cases: [Filter, RegExp][] = [
    [{ namespace: "default", states: ["FAILED"] }, /ix_unsuccessful_ends_state/],
    [{ namespace: "default", reasons: ["TARGET_FAILED"] }, /ix_unsuccessful_ends_reason/],
    [{ states: ["FAILED", "TIMED_OUT"] }, /ix_unsuccessful_ends_state/],
    [{ namespace: "default", states: ["RUNNING", "FAILED"] }, /ix_unsuccessful_ends_state|ix_executions_active/],
  ];
  for (const [filter, index] of cases) {
    const statements = await setup.statementsOf(async () => {
      assert.deepEqual(await pagesOf(setup, filter, 3), [wanted.slice(0, 3), wanted.slice(3)], JSON.stringify(filter));
    });
    for (const { sql, params } of statements) {
      const plan = await setup.sql((session) => session.query(`${explain} ${sql}`, params));
      const text = JSON.stringify(plan);
      if (sql.includes("execution_id IN")) assert.match(text, /"key":"PRIMARY"|autoindex_executions_1/);
      else if (!/GROUP BY namespace|MIN\(namespace\)/.test(sql)) assert.match(text, index);
      assert.doesNotMatch(text, /SCAN (executions|unsuccessful_ends)|filesort|TEMP B-TREE/);
      for (const row of plan) if (setup.kind === "mysql") assert.ok(Number(row.rows ?? 0) <= 16, text);
    }
  }
  if (setup.kind === "mysql") await setup.sql((session) => session.execute("TRUNCATE TABLE executions"));
});
