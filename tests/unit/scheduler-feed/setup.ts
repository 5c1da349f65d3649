import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import type { ExecutionId } from "../../../services/common/domain/identifier.ts";
import type { Store } from "../../../services/common/port/store.ts";
import { silentLogger } from "../../../services/common/runtime/log.ts";
import { FeedReading } from "../../../services/scheduler/feed/feed-reading.ts";
import type { ChangeLimits } from "../../../services/scheduler/feed/recent-changes.ts";
import { Hints } from "../../../services/scheduler/hints.ts";
import { newExecution, submission } from "../../support/execution-store.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { storeBackends } from "../../support/store.ts";

/** How long an end may be on its way in these tests: as on MySQL. */
export const SETTLE_US = 20_000_000;

/** A reading of a real store in memory, by a clock that moves by hand, with both of its passes. */
export async function testReading(test: TestContext, limits: Partial<ChangeLimits> = {}, settleUs = SETTLE_US) {
  const clock = new ManualClock();
  const backend = storeBackends.find(({ name }) => name === "sqlite memory");
  assert.ok(backend !== undefined);
  const away = { isAway: false };
  const database = await backend.open({
    clock,
    onStatement: (name) => {
      if (away.isAway && name.startsWith("feed")) throw new Error("the store is away");
    },
  });
  const { feed } = database.store;
  const reads = { ended: 0 };
  const store: Store = {
    ...database.store,
    nowUs: () => database.store.nowUs(),
    feed: {
      settleUs,
      ended: (after, untilUs, limit) => {
        reads.ended += 1;
        return feed.ended(after, untilUs, limit);
      },
      read: (ids, full) => feed.read(ids, full),
    },
  } as Store;
  const hints = new Hints();
  const reading = new FeedReading(
    { store, hints, clock, log: silentLogger, explain: async (_store, all) => all },
    limits,
  );
  test.after(async () => {
    away.isAway = false;
    await reading.stop();
    assert.equal(clock.armedCount, 0, "no timer is left");
    await database.close();
  });
  const submit = async (): Promise<ExecutionId> => {
    const [outcome] = await database.store.executions.submit([
      submission(newExecution({ scheduledUs: clock.wallUs(), readyUs: clock.wallUs() })),
    ]);
    assert.ok(outcome?.kind === "stored");
    return outcome.execution.executionId;
  };
  return {
    ...{ clock, hints, reading, store, away, reads, submit },
    /** Ends one now, by the store's clock. */
    end: async (): Promise<ExecutionId> => {
      const id = await submit();
      await database.store.executions.requestStop(id, "CANCEL", "");
      return id;
    },
    /** An end that is committed now and has the time of an earlier moment. */
    endLate: async (agoUs: number): Promise<ExecutionId> => {
      const id = await submit();
      await database.store.executions.requestStop(id, "CANCEL", "");
      await database.sql((session) =>
        session.execute("UPDATE executions SET ended_us = ? WHERE execution_id = ?", [clock.wallUs() - agoUs, id]),
      );
      return id;
    },
    /** Identifiers of the changes so far. */
    told: (): readonly ExecutionId[] =>
      (reading.changes.after(0, 1_000_000) ?? assert.fail("some are not held")).flatMap(
        ({ execution }) => execution?.executionId ?? [],
      ),
    /** Deletes what ended up to so long ago, as retention does. */
    deleteEnded: (agoUs: number) => database.store.retention.deleteEnded(clock.wallUs() - agoUs, null, 250),
  };
}
