/** Rules 6, 8 and 13: what a statement costs follows an index, by EXPLAIN on both engines. */
import assert from "node:assert/strict";
import { SqlFeedStore } from "../../services/common/adapter/sql/feed.ts";
import { SqlJobStore } from "../../services/common/adapter/sql/jobs.ts";
import { SqlRetentionStore } from "../../services/common/adapter/sql/retention.ts";
import type { Execution } from "../../services/common/domain/execution.ts";
import type { JobUid } from "../../services/common/domain/identifier.ts";
import { SHARD_COUNT } from "../../services/common/domain/job.ts";
import { defaultPolicy } from "../../services/common/domain/policy.ts";
import { routeIdOf } from "../../services/common/domain/route.ts";
import type { ExecutionFilter } from "../../services/common/port/store-executions.ts";
import { everyExecution } from "../support/execution-filter.ts";
import {
  addExecutor,
  home,
  keyOf,
  newExecution,
  onEveryStore,
  resultOf,
  routeId,
  type Statement,
  type StoreSetup,
  slot,
  slots,
  submission,
  submitAll,
} from "../support/execution-store.ts";

const HOUR_US = 3_600_000_000;
const allShards = Array.from({ length: SHARD_COUNT }, (_, shard) => shard);
const gateKeys = ["job:44444444-4444-4444-8444-444444444444"];
const jobUid = "44444444-4444-4444-8444-444444444444" as JobUid;

type Populated = {
  readonly active: readonly Execution[];
  readonly later: readonly Execution[];
  readonly nowUs: number;
};

/** A history, a backlog on many routes, timers, waiters at a gate and running attempts. */
async function populate(setup: StoreSetup): Promise<Populated> {
  const { store } = setup;
  const placement = await addExecutor(setup);
  const nowUs = await setup.nowUs();
  const onSlot = (count: number) =>
    Array.from({ length: count }, () => submission(newExecution({ jobId: "job-1" }), { slot: slot(placement) }));
  const past = (await store.submit(onSlot(1_500))).flatMap((one) => (one.kind === "stored" ? [one.execution] : []));
  await store.storeResults(
    past.map((one) => resultOf(one)),
    null,
  );
  const active = (await store.submit(onSlot(600))).flatMap((one) => (one.kind === "stored" ? [one.execution] : []));
  const routes = Array.from({ length: 20 }, (_, index) => routeIdOf(`route ${index}`));
  const make = (count: number, more: (index: number) => Parameters<typeof newExecution>[0]) =>
    submitAll(
      setup,
      Array.from({ length: count }, (_, index) => newExecution(more(index))),
    );
  await make(1_000, (index) => ({ routeId: routes[index % 20] ?? routeId, readyUs: index }));
  const later = await make(600, (index) => ({ readyUs: nowUs + (index + 1) * HOUR_US }));
  await make(200, () => ({ gateKeys, jobUid, jobId: "job-2", overlap: "QUEUE_ALL" }));
  if (setup.kind === "mysql") {
    await setup.sql((session) => session.query("ANALYZE TABLE executions, job_logs, gates, executors"));
  }
  return { active, later, nowUs };
}

/** Calls by name, each with what its statements may do besides looking rows up by an index. */
function calls({ store }: StoreSetup, { active, later, nowUs }: Populated): [string, () => Promise<unknown>][] {
  const one = active[0] ?? assert.fail();
  const key = keyOf(one);
  const { executorId, incarnation } = one;
  assert.ok(executorId !== null && incarnation !== null);
  const placement = { executorId, incarnation, sessionNumber: 1 };
  const filter: ExecutionFilter = { ...everyExecution, namespace: "default", jobId: "job-1", states: ["SUCCEEDED"] };
  return [
    ["claim", () => store.claim({ routeId: routeIdOf("route 3"), slots: slots(placement, 20) })],
    ["pending", () => store.pending(home)],
    ["waitingRoutes", () => store.waitingRoutes()],
    ["countReady", () => store.countReady(100)],
    ["markStarted", () => store.markStarted(active.slice(0, 50).map((own) => ({ key: keyOf(own), startUs: 1 })))],
    ["requestStop", () => store.requestStop(one.executionId, "CANCEL", "")],
    ["stopAttempt", () => store.stopAttempt(key, "TIMEOUT", "")],
    ["stops", () => store.stops(home, 10)],
    ["active", () => store.active(executorId, incarnation, nowUs + HOUR_US, 10)],
    ["currentKeys", () => store.currentKeys(active.slice(0, 50).map(keyOf))],
    [
      "storeResults",
      () =>
        store.storeResults(
          active.slice(0, 500).map((own) => resultOf(own)),
          null,
        ),
    ],
    ["makeReady", () => store.makeReady(later.slice(0, 500).map(({ executionId }) => executionId))],
    ["states", () => store.states(active.slice(0, 500).map(({ executionId }) => executionId))],
    ["get", () => store.get(one.executionId)],
    ["attempts", () => store.attempts(one.executionId, 10, null)],
    ["list", () => store.list({ ...filter, jobId: "" }, 50, null, false)],
    ["list of a job", () => store.list(filter, 50, null, false)],
    ["liveOfJob", () => store.liveOfJob("default", "job-1", 10)],
    ["expire", () => store.expire(100)],
    ["submit", () => store.submit([submission(newExecution({ gateKeys, overlap: "QUEUE_ALL" }))])],
  ];
}

/** Fails when a statement reads a table or an index from end to end, or sorts what it found. */
async function checkPlan(setup: StoreSetup, name: string, statement: Statement): Promise<void> {
  const { sql, params } = statement;
  if (!/\b(executions|job_logs|jobs)\b/.test(sql) || /^\s*INSERT/.test(sql)) return;
  const explain = setup.kind === "mysql" ? "EXPLAIN" : "EXPLAIN QUERY PLAN";
  const plan = await setup.sql((session) => session.query(`${explain} ${sql}`, params));
  for (const row of plan) {
    const text = `${name}: ${JSON.stringify(row)}\n${sql.slice(0, 300)}`;
    const detail = String(row.detail);
    // A list is the primary key backwards, to its limit.
    if (name === "list" && /sqlite_autoindex_executions_1|"key":"PRIMARY"/.test(text)) continue;
    if (setup.kind === "sqlite") {
      assert.doesNotMatch(detail, /^SCAN (executions|job_logs|jobs|e|t)\b/, text);
      assert.doesNotMatch(detail, /TEMP B-TREE FOR ORDER BY/, text);
    } else if (/^(executions|e|t|job_logs|jobs)$/.test(String(row.table))) {
      assert.ok(row.type !== "ALL" && row.type !== "index", text);
      assert.doesNotMatch(String(row.Extra), /filesort/, text);
    }
  }
}

onEveryStore("rule 8: no statement of an execution's life reads a whole table or sorts", async (setup) => {
  for (const [name, call] of calls(setup, await populate(setup))) {
    for (const statement of await setup.statementsOf(call)) await checkPlan(setup, name, statement);
  }
});

onEveryStore(
  "rule 24 and retention: what is past its deadline or its retention is found by index alone",
  async (setup) => {
    const { active } = await populate(setup);
    const policy = { ...defaultPolicy, startDeadlineMs: 3_600_000, retentionMs: 60_000 };
    await submitAll(
      setup,
      Array.from({ length: 300 }, () => newExecution({ policy })),
    );
    await submitAll(
      setup,
      Array.from({ length: 50 }, () => newExecution({ policy, gateKeys, overlap: "QUEUE_ALL" })),
    );
    await setup.sql((session) =>
      session.execute("UPDATE executions SET start_deadline_us = 2 WHERE start_deadline_us > 2"),
    );
    const retention = new SqlRetentionStore(setup.database);
    const expiry = await setup.statementsOf(() => setup.store.expire(100));
    await setup.sql((session) => session.execute("UPDATE executions SET expire_us = 2 WHERE expire_us > 2"));
    const place = { endedUs: 5, executionId: active[0]?.executionId ?? assert.fail() };
    const ended = await setup.statementsOf(() => retention.deleteEnded(Number.MAX_SAFE_INTEGER, place, 50));
    const expired = await setup.statementsOf(() => retention.deleteExpired(50));
    const feed = new SqlFeedStore(setup.database, setup.kind);
    const fed = await setup.statementsOf(() => feed.ended(place, null, 50));
    const wanted: [readonly Statement[], string, RegExp][] = [
      [expiry, "WHERE start_deadline_us <", /ix_executions_deadline/],
      [ended, "WHERE ended_us >=", /ix_executions_ended/],
      [expired, "WHERE expire_us <=", /ix_executions_expire/],
      [fed, "WHERE ended_us >=", /ix_executions_ended/],
    ];
    const explain = setup.kind === "mysql" ? "EXPLAIN" : "EXPLAIN QUERY PLAN";
    for (const [statements, part, index] of wanted) {
      const statement = statements.find(({ sql }) => sql.replace(/\s+/g, " ").includes(part)) ?? assert.fail(part);
      const [first] = await setup.sql((session) => session.query(`${explain} ${statement.sql}`, statement.params));
      assert.match(setup.kind === "mysql" ? `${first?.key}` : String(first?.detail), index);
    }
    for (const statement of [...expiry, ...ended, ...expired, ...fed]) await checkPlan(setup, "retention", statement);
  },
);

onEveryStore("rule 6: a claim follows its index, a sweep jumps from route to route", async (setup) => {
  const populated = await populate(setup);
  const [, ...rest] = calls(setup, populated);
  const sweep = rest.find(([name]) => name === "waitingRoutes") ?? assert.fail();
  const [statement] = await setup.statementsOf(sweep[1]);
  assert.ok(statement !== undefined);
  const explain = setup.kind === "mysql" ? "EXPLAIN" : "EXPLAIN QUERY PLAN";
  const plan = await setup.sql((session) => session.query(`${explain} ${statement.sql}`));
  if (setup.kind === "mysql") {
    assert.equal(plan[0]?.key, "ix_executions_claim");
    assert.match(String(plan[0]?.Extra), /Using index for group-by/);
    return;
  }
  const reads = plan.map(({ detail }) => String(detail)).filter((detail) => detail.includes("executions"));
  assert.ok(reads.length > 0);
  for (const read of reads) assert.match(read, /^SEARCH executions USING COVERING INDEX ix_executions_claim/);
});

onEveryStore("rule 13: due ones, waiters and gates to be tried are found by index alone", async (setup) => {
  const { nowUs } = await populate(setup);
  await setup.sql((session) => session.execute("UPDATE gates SET try_us = 1"));
  const wanted: [string, RegExp, RegExp][] = [
    ["FROM executions WHERE timer_shard IN", /ix_executions_timer/, /Using index|COVERING/],
    ["FROM executions WHERE waiting_gate", /ix_executions_waiting/, /^(?!.*(filesort|TEMP B-TREE))/],
    ["FROM gates WHERE try_us", /ix_gates_try/, /^(?!.*(filesort|TEMP B-TREE))/],
  ];
  const statements = await setup.statementsOf(async () => {
    await setup.store.due(allShards, nowUs + 5 * HOUR_US, 10);
    await setup.store.admit(10);
  });
  const explain = setup.kind === "mysql" ? "EXPLAIN" : "EXPLAIN QUERY PLAN";
  for (const [part, index, extra] of wanted) {
    const statement = statements.find(({ sql }) => sql.replace(/\s+/g, " ").includes(part)) ?? assert.fail(part);
    const [first] = await setup.sql((session) => session.query(`${explain} ${statement.sql}`, statement.params));
    const text = setup.kind === "mysql" ? `${first?.key} ${first?.Extra}` : String(first?.detail);
    assert.match(text, index);
    assert.match(text, extra);
  }
});

onEveryStore("rule 13: a look for what is due jumps from shard to shard", async (setup) => {
  const { nowUs } = await populate(setup);
  const jobs = new SqlJobStore(setup.database);
  const explain = setup.kind === "mysql" ? "EXPLAIN" : "EXPLAIN QUERY PLAN";
  const looks: [string, () => Promise<unknown>][] = [
    ["ix_executions_timer", () => setup.store.due([1, 2, 3], nowUs, 10)],
    ["ix_jobs_due", () => jobs.due([1, 2, 3], nowUs, 10)],
  ];
  for (const [index, look] of looks) {
    const statements = await setup.statementsOf(look);
    const [heads, ...rest] = statements.filter(({ sql }) => /SELECT/.test(sql));
    assert.ok(heads !== undefined && rest.length === 0, "nothing is due, and nothing else is asked");
    const plan = await setup.sql((session) => session.query(`${explain} ${heads.sql}`, heads.params));
    if (setup.kind === "mysql") {
      assert.equal(plan[0]?.key, index);
      continue;
    }
    const reads = plan.map(({ detail }) => String(detail)).filter((detail) => /executions|jobs/.test(detail));
    assert.ok(reads.length > 0);
    for (const read of reads) assert.match(read, new RegExp(`^SEARCH \\w+ USING COVERING INDEX ${index}`));
  }
});

onEveryStore("rule 9: a fire finds its job and its executions by their keys", async (setup) => {
  const jobs = new SqlJobStore(setup.database);
  const { target } = newExecution();
  const base = {
    namespace: "default",
    name: "",
    description: "",
    labels: {},
    target,
    schedule: null,
    policy: defaultPolicy,
  };
  await jobs.create({ ...base, jobId: "job-1", jobUid, shard: 1, nextFireUs: 1_000 }, null);
  await populate(setup);
  const executions = Array.from({ length: 3 }, () => newExecution({ jobUid, gateKeys, overlap: "QUEUE_ALL" }));
  const fire = { jobUid, revision: 1, nominalUs: 1_000, nextUs: 2_000, executions, skipped: [] };
  for (const statement of await setup.statementsOf(() => jobs.fire(fire))) {
    // One row is a whole table of jobs: MySQL may read it either way.
    if (!statement.sql.includes("UPDATE jobs")) await checkPlan(setup, "fire", statement);
  }
});
