import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { RouteId } from "../../services/common/domain/identifier.ts";
import { defaultPolicy } from "../../services/common/domain/policy.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { testExecution } from "../support/new-execution.ts";
import { storeBackends, type TestDatabase } from "../support/store.ts";
import { newFence, newJob, registration } from "../support/store-records.ts";

const opened: TestDatabase[] = [];
after(async () => {
  for (const database of opened) await database.close();
});

/** What counts() should say of: 2 jobs, 1 execution for later, 4 that wait in 2 routes and 3 ranks, 1 that runs. */
async function fill({ store }: TestDatabase): Promise<{ oldestUs: number }> {
  const nowUs = await store.nowUs();
  for (let made = 0; made < 2; made++) await store.jobs.create(newJob(), null);
  const hello = registration();
  await store.executors.register(hello);
  const { executorId, incarnation } = hello.profile;
  const slot = { executorId, incarnation, sessionNumber: 1, fence: newFence() };
  const waiting = (agoUs: number, route: bigint, priority: number) =>
    testExecution(nowUs, {
      readyUs: nowUs - agoUs,
      routeId: route as RouteId,
      policy: { ...defaultPolicy, priority },
    });
  const big = 2n ** 62n + 1n;
  const executions = [waiting(10, 5n, 0), waiting(20, 5n, 9), waiting(900, big, -3), waiting(30, big, 0)];
  const submissions = executions.map((execution) => ({ execution, request: null, slot: null }));
  const later = { execution: testExecution(nowUs, { readyUs: nowUs + 1e9 }), request: null, slot: null };
  await store.executions.submit([...submissions, later, { execution: testExecution(nowUs), request: null, slot }]);
  return { oldestUs: nowUs - 900 };
}

for (const backend of storeBackends) {
  test(`rule 8: counts are sampled, at most once in two seconds (${backend.name})`, async () => {
    // On SQLite the clock is mesh time as well; on MySQL it only says when a sample is old.
    const clock = new ManualClock();
    const statements: string[] = [];
    const onStatement = (name: string, sql: string): void => {
      if (name === "counts") statements.push(sql);
    };
    const database = await backend.open({ clock, onStatement });
    opened.push(database);
    const { store } = database;
    assert.deepEqual(await store.counts(), { jobs: 0, scheduled: 0, ready: 0, running: 0, oldestReadyUs: null });
    const { oldestUs } = await fill(database);
    const asked = statements.length;
    assert.equal((await store.counts()).jobs, 0, "two seconds have not passed");
    assert.equal(statements.length, asked);
    await clock.advance(2_000);
    const expected = { jobs: 2, scheduled: 1, ready: 4, running: 1, oldestReadyUs: oldestUs };
    const both = await Promise.all([store.counts(), store.counts()]);
    assert.deepEqual(both, [expected, expected]);
    assert.equal(statements.filter((sql) => /FROM jobs/.test(sql)).length, 2, "one sample for both");
    for (const [limit, ready] of [
      [100, 4],
      [4, 4],
      [3, 3],
    ] as const) {
      assert.equal(await store.executions.countReady(limit), ready, `up to ${limit}`);
    }
  });
}
