/** Rule 34: the feed of ends as the store gives it, and that a watch filters as a list does. */
import assert from "node:assert/strict";
import { SqlFeedStore } from "../../services/common/adapter/sql/feed.ts";
import { SqlRetentionStore } from "../../services/common/adapter/sql/retention.ts";
import type { Execution, NewExecution } from "../../services/common/domain/execution.ts";
import type { ExecutionId } from "../../services/common/domain/identifier.ts";
import type { ExecutionFilter } from "../../services/common/port/store-executions.ts";
import { matchesFilter } from "../../services/scheduler/api/filter-match.ts";
import { placeAt } from "../../services/scheduler/feed/resume-token.ts";
import { everyExecution } from "../support/execution-filter.ts";
import {
  addExecutor,
  dispatched,
  failed,
  newExecution,
  onEveryStore,
  resultOf,
  type StoreSetup,
  submitAll,
} from "../support/execution-store.ts";

const START = placeAt(0);

function feedOf({ database, kind }: StoreSetup): SqlFeedStore {
  return new SqlFeedStore(database, kind);
}

/** Executions that ended at these times, in the order given. */
async function ended(setup: StoreSetup, times: readonly number[], more: Partial<NewExecution> = {}) {
  const all = await submitAll(
    setup,
    times.map(() => newExecution(more)),
  );
  for (const [at, { executionId }] of all.entries()) {
    await setup.store.requestStop(executionId, "CANCEL", "");
    await setup.sql((session) =>
      session.execute("UPDATE executions SET ended_us = ? WHERE execution_id = ?", [times[at] ?? 0, executionId]),
    );
  }
  return all.map(({ executionId }) => executionId);
}

onEveryStore(
  "rule 34: ends come in the order of their time, each once, page by page, those of one microsecond too",
  async (setup) => {
    const feed = feedOf(setup);
    const ids = await ended(setup, [30, 20, 20, 20, 10]);
    await submitAll(setup, [newExecution()]);
    const inOrder = [ids[4], ...ids.slice(1, 4).sort(), ids[0]];
    const found: ExecutionId[] = [];
    for (let place = START; ; ) {
      const { places } = await feed.ended(place, null, 2);
      found.push(...places.map(({ executionId }) => executionId));
      const last = places.at(-1);
      if (last === undefined) break;
      place = last;
    }
    assert.deepEqual(found, inOrder);
    const until = await feed.ended(START, 20, 100);
    assert.deepEqual(
      until.places.map(({ executionId }) => executionId),
      inOrder.slice(0, 4),
    );
  },
);

onEveryStore(
  "executions are read in the order asked for, those that are gone left out, whole where asked",
  async (setup) => {
    const feed = feedOf(setup);
    const [one, two] = await submitAll(setup, [newExecution(), newExecution()]);
    assert.ok(one !== undefined && two !== undefined);
    const ids = [two.executionId, newExecution().executionId, one.executionId];
    const basic = await feed.read(ids, false);
    assert.deepEqual(
      basic.map(({ executionId, target }) => [executionId, target.bytes.length]),
      [
        [two.executionId, 0],
        [one.executionId, 0],
      ],
    );
    const full = await feed.read(ids, true);
    assert.deepEqual([...(full[0]?.target.bytes ?? [])], [1, 0, 255]);
  },
);

onEveryStore("what retention deletes is told to whoever stood before it", async (setup) => {
  const feed = feedOf(setup);
  const retention = new SqlRetentionStore(setup.database);
  await ended(setup, [10, 20, 30]);
  assert.equal((await feed.ended(START, null, 1)).deletedUs, 0, "nothing is deleted yet");
  await retention.deleteEnded(20, null, 250);
  assert.equal((await feed.ended(START, null, 1)).deletedUs, 20);
  await ended(setup, [5]);
  await retention.deleteEnded(20, null, 250);
  assert.equal((await feed.ended(START, null, 1)).deletedUs, 20, "the mark does not go back");
});

onEveryStore(
  "the mark is the last row that a deletion takes, and no deletion without ends makes one",
  async (setup) => {
    const retention = new SqlRetentionStore(setup.database);
    await submitAll(setup, [newExecution()]);
    await retention.deleteEnded(Number.MAX_SAFE_INTEGER, null, 250);
    assert.deepEqual(await setup.rows("SELECT name FROM feeds"), []);
    await ended(setup, [10]);
    const statements = await setup.statementsOf(() => retention.deleteEnded(20, null, 250));
    const changes = statements.map(({ sql }) => /^(?:DELETE FROM|INSERT INTO|UPDATE) (\w+)/.exec(sql)?.[1]);
    assert.deepEqual(
      changes.filter((table) => table !== undefined && table !== "output_pieces"),
      ["executions", "execution_labels", "unsuccessful_ends", "job_logs", "feeds", "feeds"],
    );
  },
);

onEveryStore("a watch takes by each field of its filter what a list takes", async (setup) => {
  const handler = { kind: "handler", method: "a.B/C", summary: "a.B/C", bytes: new Uint8Array(2) } as const;
  const T0_US = 1_700_000_000_000_000;
  await submitAll(setup, [
    newExecution({ jobId: "job-1", labels: { team: "blue", zone: "a" } }),
    newExecution({ jobId: "job-1", namespace: "other", cause: "RUN_JOB" }),
    newExecution({ target: handler }),
    newExecution({ target: { ...handler, kind: "grpc" }, labels: { team: "bluer" } }),
    newExecution({ labels: { zone: 'q":"uote', steam: "blue" } }),
  ]);
  const running = await dispatched(setup, await addExecutor(setup), newExecution());
  await setup.store.storeResults([resultOf(running, failed())], null);
  const { items } = await setup.store.list(everyExecution, 100, null, false);
  assert.equal(items.length, 6);
  const middleUs = items[3]?.scheduledUs ?? 0;
  const filters: readonly Partial<ExecutionFilter>[] = [
    {},
    { namespace: "default" },
    { namespace: "other" },
    { jobId: "job-1" },
    { jobId: "job" },
    { states: ["READY"] },
    { states: ["READY", "FAILED"] },
    { states: ["SUCCEEDED"] },
    { reasons: ["TARGET_FAILED"] },
    { reasons: ["MISSED"] },
    { causes: ["RUN_JOB"] },
    { executorId: "executor-1" },
    { executorId: "executor" },
    { handlerMethod: "a.B/C" },
    { labels: { team: "blue" } },
    { labels: { team: "blue", zone: "b" } },
    { labels: { zone: 'q":"uote' } },
    { labels: { toString: "x" } },
    { scheduledAfterUs: middleUs },
    { scheduledBeforeUs: middleUs },
    { scheduledAfterUs: T0_US, scheduledBeforeUs: T0_US + 1 },
  ];
  const idsOf = (executions: readonly Execution[]) => executions.map(({ executionId }) => executionId);
  for (const filter of filters) {
    const wanted = { ...everyExecution, ...filter };
    const listed = await setup.store.list(wanted, 100, null, false);
    assert.deepEqual(
      idsOf(items.filter((execution) => matchesFilter(wanted, execution))),
      idsOf(listed.items),
      JSON.stringify(filter),
    );
  }
});
