/**
 * What the contract suites of executions share: one database for each engine and file, emptied before each test, and
 * makers of submissions, slots and results. On MySQL the store's clock is the server's, so that tests move rows in
 * time, never the clock.
 */
import { after, test } from "node:test";
import { tables } from "../../services/common/adapter/sql/entity/tables.ts";
import { SqlExecutionStore } from "../../services/common/adapter/sql/executions.ts";
import type { SqlDatabase, SqlSession, SqlValue } from "../../services/common/adapter/sql/session.ts";
import { StatementRefused } from "../../services/common/adapter/sql/store-fault.ts";
import type { AttemptOutcome, AttemptResult } from "../../services/common/domain/attempt.ts";
import type { Execution, NewExecution } from "../../services/common/domain/execution.ts";
import { randomExecutionId } from "../../services/common/domain/execution-id.ts";
import type {
  AttemptKey,
  ExecutorId,
  Fence,
  Incarnation,
  JobUid,
  SchedulerId,
} from "../../services/common/domain/identifier.ts";
import { defaultPolicy } from "../../services/common/domain/policy.ts";
import { routeIdOf, routeText } from "../../services/common/domain/route.ts";
import type {
  ClaimedSlot,
  ExecutionStore,
  Placement,
  Submission,
} from "../../services/common/port/store-executions.ts";
import { SystemClock } from "../../services/common/runtime/system-clock.ts";
import { SystemRandom } from "../../services/common/runtime/system-random.ts";
import { type StoreBackend, storeBackends, type TestDatabase } from "./store.ts";

/** Called before each statement of a test: see failStatement. */
type Hook = (name: string, sql: string) => void | Promise<void>;

/** A statement as the store made it. */
export type Statement = { readonly sql: string; readonly params: readonly SqlValue[] };

/** A store of executions under test. */
export type StoreSetup = {
  readonly kind: "mysql" | "sqlite";
  readonly store: ExecutionStore;
  readonly database: TestDatabase["database"];
  /** One transaction beside the store. */
  sql<T>(body: (session: SqlSession) => Promise<T>): Promise<T>;
  /** Rows of a SELECT. */
  rows(sql: string, ...params: (string | number | null)[]): Promise<readonly Readonly<Record<string, unknown>>[]>;
  /** The store's clock. */
  nowUs(): Promise<number>;
  /** Runs before each statement until the test ends; what it throws fails the statement. */
  onStatement(hook: Hook): void;
  /** Makes the store refuse changes, as it refuses a row that breaks a constraint. */
  refuse(isRefused: (sql: string, params: readonly SqlValue[]) => boolean): void;
  /** The statements that a call of the store makes, with their parameters; of many alike the first. */
  statementsOf(call: () => Promise<unknown>): Promise<readonly Statement[]>;
};

const random = new SystemRandom();
const engines = storeBackends.filter(({ name }) => name !== "sqlite file");
const opened = new Map<string, { database: TestDatabase; hook: { current: Hook | null } }>();

after(async () => {
  for (const { database } of opened.values()) await database.close();
});

/** Registers a test once for each engine. */
export function onEveryStore(title: string, body: (setup: StoreSetup) => Promise<void>): void {
  for (const engine of engines) test(`${title} (${engine.name})`, async () => body(await emptyStore(engine)));
}

/** The same on MySQL alone, where transactions really run side by side. */
export function onMysql(title: string, body: (setup: StoreSetup) => Promise<void>): void {
  for (const engine of engines.filter(({ kind }) => kind === "mysql")) {
    test(`${title} (${engine.name})`, async () => body(await emptyStore(engine)));
  }
}

async function emptyStore(engine: StoreBackend): Promise<StoreSetup> {
  let entry = opened.get(engine.name);
  if (entry === undefined) {
    const hook: { current: Hook | null } = { current: null };
    const database = await engine.open({ onStatement: (name, sql) => hook.current?.(name, sql) });
    entry = { database, hook };
    opened.set(engine.name, entry);
  }
  const { database, hook } = entry;
  hook.current = null;
  const listener: Listener = { heard: null, refused: null };
  const own = listening(database.database, listener);
  await database.sql(async (session) => {
    for (const { name } of tables) await session.execute(`DELETE FROM ${name}`);
  });
  return {
    kind: engine.kind,
    store: new SqlExecutionStore({ database: own, random, clock: new SystemClock() }),
    database: own,
    sql: (statements) => database.sql(statements),
    rows: (sql, ...params) => database.sql((session) => session.query(sql, params)),
    nowUs: () => database.sql((session) => session.nowUs()),
    onStatement(next) {
      hook.current = next;
    },
    refuse(isRefused) {
      listener.refused = isRefused;
    },
    async statementsOf(call) {
      const statements: Statement[] = [];
      listener.heard = (statement) => statements.push(statement);
      await call();
      listener.heard = null;
      return statements;
    },
  };
}

type Refusal = (sql: string, params: readonly SqlValue[]) => boolean;
/** Hears of each statement of the store, before it runs; what it throws fails the statement. */
type Listener = { heard: ((statement: Statement) => void) | null; refused: Refusal | null };

/** The database of a test, which can be listened to and can refuse changes; it is the test's own object, to be changed at will. */
function listening(database: SqlDatabase, listener: Listener): SqlDatabase {
  const wrapped = (session: SqlSession): SqlSession => ({
    dialect: session.dialect,
    nowUs: () => session.nowUs(),
    async query(sql, params = []) {
      listener.heard?.({ sql, params });
      return await session.query(sql, params);
    },
    async queryWithNow(sql, params = []) {
      listener.heard?.({ sql, params });
      return await session.queryWithNow(sql, params);
    },
    async execute(sql, params = []) {
      listener.heard?.({ sql, params });
      if (listener.refused?.(sql, params)) throw new StatementRefused("the store refuses the row: test");
      return await session.execute(sql, params);
    },
    async executeEach(sql, lists) {
      for (const params of lists.slice(0, 1)) listener.heard?.({ sql, params });
      if (lists.some((params) => listener.refused?.(sql, params))) throw new StatementRefused("refused: test");
      return await session.executeEach(sql, lists);
    },
  });
  return {
    dialect: database.dialect,
    read: (name, body) => database.read(name, (session) => body(wrapped(session))),
    transact: (name, body) => database.transact(name, (session) => body(wrapped(session))),
    transactOne: (name, body) => database.transactOne(name, (session) => body(wrapped(session))),
  };
}

/** The route of all executions that newExecution makes. */
export const routeTextOfAll = routeText({ kind: "command", method: "", namespace: "default", labels: {}, pin: null });
/** Its identifier. */
export const routeId = routeIdOf(routeTextOfAll);

/** A command that is ready now; `more` replaces fields. */
export function newExecution(more: Partial<NewExecution> = {}): NewExecution {
  const nowMs = Date.now() - 1_000;
  return {
    executionId: randomExecutionId(nowMs, random.bytes(10)),
    namespace: "default",
    jobId: null,
    jobUid: null,
    jobRevision: 0,
    name: "",
    cause: "SUBMIT",
    target: { kind: "command", method: "", summary: "true", bytes: Uint8Array.of(1, 0, 255) },
    policy: defaultPolicy,
    labels: {},
    routeId,
    scheduledUs: nowMs * 1_000,
    readyUs: nowMs * 1_000,
    gateKeys: [],
    overlap: "ALLOW",
    mergedCount: 0,
    mergedUntilUs: null,
    traceparent: "",
    tracestate: "",
    ...more,
  };
}

/** A submission of it, without request or slot unless given. */
export function submission(execution: NewExecution, more: Partial<Submission> = {}): Submission {
  return { execution, request: null, slot: null, ...more };
}

/** A gate key of a job that is only a name. */
export function jobUid(name: string): JobUid {
  return `${name}-0000-0000-0000-000000000000`.slice(-36).padStart(36, "0") as JobUid;
}

/** An executor that said Hello. */
export async function addExecutor(
  { sql }: Pick<StoreSetup, "sql">,
  executorId = "executor-1",
  more: { readonly session?: number; readonly home?: string; readonly profile?: object } = {},
): Promise<Placement> {
  const sessionNumber = more.session ?? 1;
  const profile = { executorId, labels: {}, namespaces: [], capabilities: [{ kind: "command" }], ...more.profile };
  await sql((session) =>
    session.execute(
      `INSERT INTO executors (executor_id, incarnation, session_number, home, registered_us, heard_us, slots,
        free_slots, profile, draining, cpu_load, memory_bytes) VALUES (?, ?, ?, ?, 1, 1, 100, 100, ?, 0, 0, 0)`,
      [executorId, `${executorId}-life`, sessionNumber, more.home ?? "scheduler-1", JSON.stringify(profile)],
    ),
  );
  return { executorId: executorId as ExecutorId, incarnation: `${executorId}-life` as Incarnation, sessionNumber };
}

/** Declares an executor lost. */
export async function loseExecutor({ sql }: StoreSetup, { executorId }: Placement): Promise<void> {
  await sql((session) => session.execute("UPDATE executors SET lost_us = 2 WHERE executor_id = ?", [executorId]));
}

/** The scheduler of addExecutor. */
export const home = "scheduler-1" as SchedulerId;

/** A slot of an executor with a new fence. */
export function slot(placement: Placement): ClaimedSlot {
  return { ...placement, fence: random.fence() as Fence };
}

/** Slots of an executor. */
export function slots(placement: Placement, count: number): ClaimedSlot[] {
  return Array.from({ length: count }, () => slot(placement));
}

/** The key of an execution's current attempt. */
export function keyOf({ executionId, attempt, fence }: Execution): AttemptKey {
  if (fence === null) throw new Error("the execution has no attempt");
  return { executionId, attempt, fence };
}

/** An outcome that succeeded with nothing to say. */
export const succeeded: AttemptOutcome = { kind: "succeeded", result: new Uint8Array(0) };

/** An outcome that failed. */
export function failed(message = "exit status 1", reason = "exit:1"): AttemptOutcome {
  return { kind: "failed", failure: { code: 2, message, reason }, nonRetryable: false, retryDelayMs: null };
}

/** What the executor of an execution's current attempt reports. */
export function resultOf(
  execution: Execution,
  outcome: AttemptOutcome = succeeded,
  more: Partial<AttemptResult> = {},
): AttemptResult {
  return {
    key: keyOf(execution),
    executorId: execution.executorId ?? ("" as ExecutorId),
    incarnation: execution.incarnation ?? ("" as Incarnation),
    outcome,
    startUs: 1_000_000,
    endUs: 2_000_000,
    exitCode: 0,
    output: "",
    errorOutput: "",
    outputPieceCount: 0,
    traceparent: "",
    ...more,
  };
}

/** A value with plain byte arrays for the Buffers of drivers, so that it can be compared. */
export function plain<T>(value: T): T {
  if (value instanceof Uint8Array) return Uint8Array.from(value) as T;
  if (Array.isArray(value)) return value.map(plain) as T;
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)])) as T;
}

/** Submits executions as READY. */
export async function submitAll({ store }: StoreSetup, executions: readonly NewExecution[]): Promise<Execution[]> {
  const outcomes = await store.submit(executions.map((execution) => submission(execution)));
  return outcomes.map((outcome) => {
    if (outcome.kind !== "stored") throw new Error(`not stored: ${outcome.kind}`);
    return outcome.execution;
  });
}

/** An execution that runs on an executor: submitted to a slot of it. */
export async function dispatched(
  { store }: StoreSetup,
  placement: Placement,
  more: Partial<NewExecution> = {},
): Promise<Execution> {
  const [outcome] = await store.submit([submission(newExecution(more), { slot: slot(placement) })]);
  if (outcome?.kind !== "stored" || outcome.execution.state !== "DISPATCHED") throw new Error("not dispatched");
  return outcome.execution;
}
