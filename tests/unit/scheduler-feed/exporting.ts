import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { MemoryBus } from "../../../services/common/adapter/memory/bus.ts";
import { StateNumber } from "../../../services/common/adapter/sql/execution-row.ts";
import type { ExecutionId } from "../../../services/common/domain/identifier.ts";
import type { SchedulerBus } from "../../../services/common/port/bus.ts";
import type { Store } from "../../../services/common/port/store.ts";
import { type Logger, silentLogger } from "../../../services/common/runtime/log.ts";
import { EndedExporter, EVENTS_CURSOR } from "../../../services/scheduler/feed/ended-exporter.ts";
import { newExecution, submission } from "../../support/execution-store.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { storeBackends, type TestDatabase } from "../../support/store.ts";

/** How long an end may be on its way in these tests: as on MySQL. */
export const SETTLE_US = 20_000_000;

/** Exporters of one mesh, on a real store in memory and a bus in memory, by a clock that moves by hand. */
export async function testExport(test: TestContext) {
  const clock = new ManualClock();
  const backend = storeBackends.find(({ name }) => name === "sqlite memory") ?? assert.fail();
  const calls = { ended: 0, moved: 0 };
  const database = await backend.open({
    clock,
    onStatement: (name, sql) => {
      if (name === "feed.ended" && sql.includes("FROM executions")) calls.ended += 1;
      if (name === "feed.move" && sql.startsWith("UPDATE")) calls.moved += 1;
    },
  });
  const { feed } = database.store;
  const store: Store = {
    ...database.store,
    nowUs: () => database.store.nowUs(),
    feed: {
      settleUs: SETTLE_US,
      ended: (after, untilUs, limit) => feed.ended(after, untilUs, limit),
      read: (ids, full) => feed.read(ids, full),
      cursor: async (name) => {
        const { endedUs, executionId } = await feed.cursor(name);
        return { endedUs, executionId };
      },
      moveCursor: (name, from, to) => feed.moveCursor(name, from, to),
    },
  } as Store;
  const memory = new MemoryBus(clock);
  const bus = memory.scheduler();
  await bus.start();
  const said: string[] = [];
  const say = (_fields: object, message: string): void => void said.push(message);
  const log: Logger = { ...silentLogger, warn: say, error: say, child: () => log };
  const exporters: EndedExporter[] = [];
  const ownership = { owned: true };
  const { submit, end, endMany } = work(database, clock);
  test.after(async () => {
    memory.away = false;
    for (const exporter of exporters) await exporter.stop();
    await bus.stop();
    assert.equal(clock.armedCount, 0, "no timer is left");
    await database.close();
  });
  return {
    ...{ clock, store, memory, bus, log, said, calls, ownership, database, submit, end, endMany },
    /** An exporter of another process; by the memory bus where no other is given. */
    exporter: (given: { readonly bus?: SchedulerBus; readonly owned?: () => boolean } = {}): EndedExporter => {
      const owners = { ownsEndedEvents: given.owned ?? (() => ownership.owned) };
      const exporter = new EndedExporter({ store, bus: given.bus ?? bus, owners, clock, log });
      exporters.push(exporter);
      return exporter;
    },
    /** Identifiers of what was written, in its order. */
    written: (): readonly ExecutionId[] => memory.changes.map(({ execution }) => execution.executionId),
    cursor: () => store.feed.cursor(EVENTS_CURSOR),
  };
}

const TARGET = { kind: "command", method: "", summary: "true", bytes: new Uint8Array([1, 0, 255]) } as const;
/** Any trace. */
export const TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/** What submits executions, and ends them. */
function work({ store, sql }: TestDatabase, clock: ManualClock) {
  const submit = async (count: number): Promise<readonly ExecutionId[]> => {
    const nowUs = clock.wallUs();
    const rows = Array.from({ length: count }, () =>
      submission(newExecution({ scheduledUs: nowUs, readyUs: nowUs, target: TARGET, traceparent: TRACE })),
    );
    const outcomes = await store.executions.submit(rows);
    return outcomes.map((outcome) => (outcome.kind === "stored" ? outcome.execution.executionId : assert.fail()));
  };
  const end = async (count = 1, agoUs = 0): Promise<readonly ExecutionId[]> => {
    const ids = await submit(count);
    for (const id of ids) await store.executions.requestStop(id, "CANCEL", "");
    if (agoUs > 0) {
      for (const id of ids) {
        await sql((session) =>
          session.execute("UPDATE executions SET ended_us = ? WHERE execution_id = ?", [clock.wallUs() - agoUs, id]),
        );
      }
    }
    return ids;
  };
  /** As many at once, each a microsecond after the one before. */
  const endMany = async (count: number): Promise<readonly ExecutionId[]> => {
    const ids: ExecutionId[] = [];
    while (ids.length < count) ids.push(...(await submit(Math.min(count - ids.length, 500))));
    const nowUs = clock.wallUs();
    await sql((session) =>
      session.executeEach(
        `UPDATE executions SET state = ${StateNumber.CANCELLED}, ended_us = ? WHERE execution_id = ?`,
        ids.map((id, at) => [nowUs + at, id]),
      ),
    );
    return ids;
  };
  return { submit, end, endMany };
}
