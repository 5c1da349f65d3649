/** Result readers on a real store in memory, a memory bus and a manual clock; two readers are two owners that race. */
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { MemorySchedulerBus } from "../../../services/common/adapter/memory/bus-ends.ts";
import { type MemoryBusConfig, MemoryTopics } from "../../../services/common/adapter/memory/bus-topics.ts";
import { openStore } from "../../../services/common/adapter/open-store.ts";
import type { AttemptOutcome, AttemptResult } from "../../../services/common/domain/attempt.ts";
import type { Execution, NewExecution } from "../../../services/common/domain/execution.ts";
import type { ExecutorProfile } from "../../../services/common/domain/executor.ts";
import type { ExecutionId, Fence } from "../../../services/common/domain/identifier.ts";
import { type Store, StoreUnavailable } from "../../../services/common/port/store.ts";
import { type Logger, silentLogger } from "../../../services/common/runtime/log.ts";
import { SystemRandom } from "../../../services/common/runtime/system-random.ts";
import { propagatingTracing } from "../../../services/common/telemetry/create-tracing.ts";
import { type Hint, Hints } from "../../../services/scheduler/hints.ts";
import { ResultReader, type ResultReaderConfig } from "../../../services/scheduler/results/result-reader.ts";
import { ResultSpans } from "../../../services/scheduler/results/result-spans.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { testExecution } from "../../support/new-execution.ts";
import { registration } from "../../support/store-records.ts";

const random = new SystemRandom();

/** Partitions that a reader owns; `own` changes them as a change of the members does. */
export class TestPartitions {
  #partitions: ReadonlySet<number>;
  readonly #listeners = new Set<() => void>();

  constructor(partitions: readonly number[]) {
    this.#partitions = new Set(partitions);
  }

  ownsPartition(partition: number): boolean {
    return this.#partitions.has(partition);
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  own(partitions: readonly number[]): void {
    this.#partitions = new Set(partitions);
    for (const listener of this.#listeners) listener();
  }
}

/** A log that keeps its messages. */
export function keptLog(): { readonly log: Logger; readonly messages: string[] } {
  const messages: string[] = [];
  const keep = (level: string) => (_fields: object, message: string) => void messages.push(`${level}: ${message}`);
  const log: Logger = { debug: () => {}, info: () => {}, warn: keep("warn"), error: keep("error"), child: () => log };
  return { log, messages };
}

/** A store with executors and a bus. */
export type ResultRig = Awaited<ReturnType<typeof resultRig>>;

/** When the test ends, all that was started is stopped and no timer may be left. */
export async function resultRig(t: TestContext, busConfig: Partial<MemoryBusConfig> = {}) {
  const clock = new ManualClock();
  const outage: { names: readonly string[] | null } = { names: null };
  const store = openStore("sqlite::memory:", {
    clock,
    random,
    onStatement: (name, sql) => {
      if (sql === "ROLLBACK" || outage.names === null) return;
      if (outage.names.length === 0 || outage.names.includes(name)) throw new StoreUnavailable("away");
    },
  });
  await store.start();
  const bus = new MemoryTopics(clock, { resultPartitions: 2, ...busConfig });
  const stops: (() => Promise<void>)[] = [];
  t.after(async () => {
    outage.names = null;
    bus.away = false;
    await Promise.all(stops.map((stop) => stop()));
    await clock.settle();
    assert.equal(clock.armedCount, 0, "no timer is left");
    await store.stop();
  });
  return {
    clock,
    store,
    outage,
    bus,
    stops,
    reader: (options: Partial<ResultReaderConfig> & { owners?: TestPartitions; log?: Logger } = {}) =>
      makeReader({ clock, store, bus, stops }, options),
    dispatched: (count: number, changes: Partial<NewExecution> = {}, profile: Partial<ExecutorProfile> = {}) =>
      dispatched(store, clock, count, changes, profile),
    /** More of them on an executor that is there. */
    dispatchedTo: (
      executor: Pick<ExecutorProfile, "executorId" | "incarnation">,
      count: number,
      changes: Partial<NewExecution> = {},
    ) => dispatchTo(store, clock, executor, count, changes),
    partition: async (partition = 0) => {
      const row = (await store.offsets.read(2)).find((one) => one.partition === partition);
      return row ?? assert.fail("no such partition");
    },
    states: async (executions: readonly { executionId: ExecutionId }[]) => {
      const ids = executions.map(({ executionId }) => executionId);
      const states = new Map((await store.executions.states(ids)).map((one) => [one.executionId, one.state]));
      return ids.map((id) => states.get(id) ?? "none");
    },
  };
}

async function makeReader(
  rig: { clock: ManualClock; store: Store; bus: MemoryTopics; stops: (() => Promise<void>)[] },
  options: Partial<ResultReaderConfig> & { owners?: TestPartitions; log?: Logger },
) {
  const { clock, store } = rig;
  const { owners = new TestPartitions([0, 1]), log = silentLogger, ...config } = options;
  const bus = new MemorySchedulerBus(rig.bus, clock);
  await bus.start();
  const hints = new Hints();
  const told: Hint[] = [];
  for (const kind of ["ready", "due", "ended"] as const) hints.on(kind, (hint) => void told.push(hint));
  const spans = new ResultSpans(propagatingTracing(random));
  const reader = new ResultReader(
    { store, bus, owners, hints, spans, clock, log },
    { maxBatchRows: 1_000, backstopMs: 3_000, checkIntervalMs: 60_000, ...config },
  );
  const stop = async (): Promise<void> => {
    await reader.stop();
    await bus.stop();
  };
  rig.stops.push(stop);
  return { reader, owners, told, hints, stop };
}

/** Executions that run on one executor with room enough. */
async function dispatched(
  store: Store,
  clock: ManualClock,
  count: number,
  changes: Partial<NewExecution>,
  profile: Partial<ExecutorProfile>,
): Promise<Execution[]> {
  const hello = registration({ profile: { slots: 10_000, ...profile } });
  assert.equal((await store.executors.register(hello)).kind, "welcome");
  return dispatchTo(store, clock, hello.profile, count, changes);
}

async function dispatchTo(
  store: Store,
  clock: ManualClock,
  { executorId, incarnation }: Pick<ExecutorProfile, "executorId" | "incarnation">,
  count: number,
  changes: Partial<NewExecution>,
): Promise<Execution[]> {
  const group = Array.from({ length: count }, () => ({
    execution: testExecution(clock.wallUs(), changes),
    request: null,
    slot: { executorId, incarnation, sessionNumber: 1, fence: random.fence() as Fence },
  }));
  const outcomes = await store.executions.submit(group);
  return outcomes.map((outcome) => (outcome.kind === "stored" ? outcome.execution : assert.fail(outcome.kind)));
}

/** What the executor reports of an execution's current attempt. */
export function resultOf(
  execution: Execution,
  outcome: AttemptOutcome = { kind: "succeeded", result: new Uint8Array() },
  changes: Partial<AttemptResult> = {},
): AttemptResult {
  const { executionId, attempt, fence, executorId, incarnation } = execution;
  if (fence === null || executorId === null || incarnation === null) assert.fail("it was dispatched");
  return {
    key: { executionId, attempt, fence },
    executorId,
    incarnation,
    outcome,
    startUs: 1_000_000,
    endUs: 2_000_000,
    exitCode: 0,
    output: "",
    errorOutput: "",
    outputPieceCount: 0,
    traceparent: "",
    ...changes,
  };
}
