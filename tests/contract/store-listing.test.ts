/** Lists, counts and attempts of executions; rule 28: pages end at 1 MiB. */
import assert from "node:assert/strict";
import { randomExecutionId } from "../../services/common/domain/execution-id.ts";
import type { ExecutionId } from "../../services/common/domain/identifier.ts";
import { defaultPolicy } from "../../services/common/domain/policy.ts";
import { PageTokenFault } from "../../services/common/port/store.ts";
import type { ExecutionFilter } from "../../services/common/port/store-executions.ts";
import { SystemRandom } from "../../services/common/runtime/system-random.ts";
import { everyExecution } from "../support/execution-filter.ts";
import {
  addExecutor,
  dispatched,
  failed,
  newExecution,
  onEveryStore,
  plain,
  resultOf,
  routeId,
  type StoreSetup,
  slots,
  submitAll,
} from "../support/execution-store.ts";

const random = new SystemRandom();
const T0_MS = 1_700_000_000_000;

function at(ms: number, more: Parameters<typeof newExecution>[0] = {}) {
  const timeMs = T0_MS + ms;
  return newExecution({
    executionId: randomExecutionId(timeMs, random.bytes(10)),
    scheduledUs: timeMs * 1_000,
    readyUs: timeMs * 1_000,
    ...more,
  });
}

/** Identifiers of all pages. */
async function listed({ store }: StoreSetup, filter: Partial<ExecutionFilter>, pageSize = 3): Promise<ExecutionId[]> {
  const ids: ExecutionId[] = [];
  for (let token: string | null = null, pages = 0; pages < 50; pages++) {
    const page: Awaited<ReturnType<typeof store.list>> = await store.list(
      { ...everyExecution, ...filter },
      pageSize,
      token,
      false,
    );
    assert.ok(page.items.length <= pageSize);
    ids.push(...page.items.map(({ executionId }) => executionId));
    token = page.nextToken;
    if (token === null) return ids;
  }
  return assert.fail("the list does not end");
}

onEveryStore("a list shows the newest nominal time first, page by page, each once", async (setup) => {
  const executions = Array.from({ length: 10 }, (_, index) => at(index * 10));
  await submitAll(setup, executions);
  const ids = executions.map(({ executionId }) => executionId).reverse();
  assert.deepEqual(await listed(setup, {}), ids);
  assert.deepEqual(await listed(setup, {}, 10), ids);
  assert.deepEqual(await listed(setup, {}, 100), ids);
});

onEveryStore("a list is filtered by all that a filter names", async (setup) => {
  const handler = { kind: "handler", method: "a.B/C", summary: "a.B/C", bytes: new Uint8Array(2) } as const;
  const executions = [
    at(0, { jobId: "job-1", labels: { team: "blue", zone: "a" } }),
    at(1, { jobId: "job-1", namespace: "other", cause: "RUN_JOB" }),
    at(2, { target: handler }),
    at(3, { target: { ...handler, kind: "grpc" }, labels: { team: "bluer" } }),
    at(4, { labels: { zone: 'q":"uote', steam: "blue", 'x"team': "red", "t,": "{", "": ',"team":"red"' } }),
  ];
  await submitAll(setup, executions);
  const running = await dispatched(setup, await addExecutor(setup), at(5));
  await setup.store.storeResults([resultOf(running, failed())], null);
  const all = [...executions, running].map(({ executionId }) => executionId);
  const found = async (filter: Partial<ExecutionFilter>) =>
    (await listed(setup, filter)).map((id) => all.indexOf(id)).sort();
  const cases: [Partial<ExecutionFilter>, number[]][] = [
    [{ namespace: "default" }, [0, 2, 3, 4, 5]],
    [{ jobId: "job-1" }, [0, 1]],
    [{ namespace: "other", jobId: "job-1" }, [1]],
    [{ states: ["FAILED", "RUNNING"] }, [5]],
    [{ states: ["READY"] }, [0, 1, 2, 3, 4]],
    [{ reasons: ["TARGET_FAILED"] }, [5]],
    [{ causes: ["RUN_JOB"] }, [1]],
    [{ executorId: "executor-1" }, [5]],
    [{ handlerMethod: "a.B/C" }, [2]],
    [{ labels: { team: "blue" } }, [0]],
    [{ labels: { team: "blue", zone: "b" } }, []],
    [{ labels: { zone: 'q":"uote' } }, [4]],
    [{ labels: { team: "red" } }, []],
    [{ labels: { 'x"team': "red", "": ',"team":"red"' } }, [4]],
    [{ scheduledAfterUs: (T0_MS + 2) * 1_000, scheduledBeforeUs: (T0_MS + 4) * 1_000 }, [2, 3]],
    [{ namespace: "none" }, []],
  ];
  for (const [filter, wanted] of cases) assert.deepEqual(await found(filter), wanted, JSON.stringify(filter));
});

onEveryStore("a basic list leaves out targets and results, a full one has them", async (setup) => {
  const running = await dispatched(setup, await addExecutor(setup));
  await setup.store.storeResults([resultOf(running, { kind: "succeeded", result: Uint8Array.of(9) })], null);
  const [basic] = (await setup.store.list(everyExecution, 5, null, false)).items;
  const [full] = (await setup.store.list(everyExecution, 5, null, true)).items;
  const whole = await setup.store.get(running.executionId);
  assert.deepEqual(plain(full), plain(whole));
  assert.deepEqual(plain(basic), {
    ...plain(whole),
    result: null,
    target: { ...running.target, bytes: new Uint8Array(0) },
  });
});

onEveryStore("rule 28: a page ends at 1 MiB, and the next one goes on", async (setup) => {
  const target = { ...newExecution().target, bytes: new Uint8Array(400 * 1024).fill(1) };
  await submitAll(
    setup,
    Array.from({ length: 5 }, (_, index) => at(index, { target })),
  );
  const sizes: number[] = [];
  for (let token: string | null = null, pages = 0; pages === 0 || token !== null; pages++) {
    const page: Awaited<ReturnType<typeof setup.store.list>> = await setup.store.list(everyExecution, 100, token, true);
    sizes.push(page.items.length);
    token = page.nextToken;
  }
  assert.deepEqual(sizes, [2, 2, 1]);
});

onEveryStore("rule 28: a basic page ends at 1 MiB of parameters, and reads no more of them", async (setup) => {
  const parameters = { text: "x".repeat(40 * 1024) };
  const executions = Array.from({ length: 60 }, (_, index) =>
    at(index, { parameters: index === 59 ? null : parameters }),
  );
  await submitAll(setup, executions);
  let read = 0;
  setup.onStatement((name, sql) => {
    if (name === "list_executions" && /SELECT execution_id, parameters/.test(sql)) read += 1;
  });
  const sizes: number[] = [];
  for (let token: string | null = null, pages = 0; pages === 0 || token !== null; pages++) {
    const page: Awaited<ReturnType<typeof setup.store.list>> = await setup.store.list(
      everyExecution,
      100,
      token,
      false,
    );
    for (const one of page.items) {
      const whole = await setup.store.get(one.executionId);
      assert.deepEqual(one.parameters, whole?.parameters);
    }
    sizes.push(page.items.length);
    token = page.nextToken;
  }
  assert.deepEqual(sizes, [26, 25, 9]);
  assert.equal(read, 3, "those of a page by one statement");
});

onEveryStore("a page token that no page gave is refused", async ({ store }) => {
  for (const token of ["x", "", Buffer.from("[1]").toString("base64url")]) {
    await assert.rejects(store.list(everyExecution, 5, token, false), PageTokenFault);
  }
  const id = newExecution().executionId;
  await assert.rejects(store.attempts(id, 5, Buffer.from('["a"]').toString("base64url")), PageTokenFault);
});

onEveryStore("a count is by state, under the same filter", async (setup) => {
  const placement = await addExecutor(setup);
  await submitAll(setup, [at(0), at(1, { namespace: "other" }), at(2)]);
  await setup.store.storeResults([resultOf(await dispatched(setup, placement, at(3)))], null);
  assert.deepEqual(await setup.store.count(everyExecution), [
    { state: "READY", count: 3 },
    { state: "SUCCEEDED", count: 1 },
  ]);
  assert.deepEqual(await setup.store.count({ ...everyExecution, namespace: "other" }), [{ state: "READY", count: 1 }]);
});

onEveryStore("a long history is counted and searched in parts, each execution once", async (setup) => {
  const needle = at(0, { cause: "RUN_JOB" });
  const history = Array.from({ length: 10_100 }, (_, index) => at(1 + index));
  await submitAll(setup, [needle, ...history]);
  assert.deepEqual(await setup.store.count(everyExecution), [{ state: "READY", count: 10_101 }]);
  const reads: string[] = [];
  setup.onStatement((name, sql) => {
    if (name === "list_executions" && /ORDER BY execution_id DESC LIMIT \?/.test(sql)) reads.push(name);
  });
  assert.deepEqual(await listed(setup, { causes: ["RUN_JOB"] }), [needle.executionId]);
  assert.equal(reads.length, 3);
});

onEveryStore("states answers for known executions only", async (setup) => {
  const [one] = await submitAll(setup, [newExecution()]);
  assert.ok(one !== undefined);
  const unknown = newExecution().executionId;
  const states = await setup.store.states([one.executionId, unknown, one.executionId]);
  assert.deepEqual(states, [{ executionId: one.executionId, state: "READY" }]);
  assert.deepEqual(await setup.store.states([]), []);
});

onEveryStore("executions of a job that have not ended are found, whatever they wait for", async (setup) => {
  const placement = await addExecutor(setup);
  const own = { jobId: "job-1", gateKeys: ["job:33333333-3333-4333-8333-333333333333"] };
  const plainJob = { jobId: "job-1" };
  const live = await submitAll(setup, [
    newExecution({ ...plainJob, readyUs: (await setup.nowUs()) + 60_000_000 }),
    newExecution(plainJob),
    newExecution({ ...own, overlap: "QUEUE_ALL" }),
    newExecution({ ...own, overlap: "QUEUE_ALL" }),
    newExecution({ jobId: "job-2" }),
    newExecution({ ...plainJob, namespace: "other" }),
  ]);
  const active = await dispatched(setup, placement, plainJob);
  const ended = await dispatched(setup, placement, plainJob);
  await setup.store.storeResults([resultOf(ended)], null);
  const wanted = [...live.slice(0, 4), active].map(({ executionId }) => executionId).sort();
  assert.deepEqual([...(await setup.store.liveOfJob("default", "job-1", 100))].sort(), wanted);
  assert.equal((await setup.store.liveOfJob("default", "job-1", 2)).length, 2);
});

onEveryStore("attempts come in order, page by page, the current one last", async (setup) => {
  const { store } = setup;
  const placement = await addExecutor(setup);
  const policy = { ...defaultPolicy, retry: { ...defaultPolicy.retry, maxAttempts: 9, initialIntervalMs: 0 } };
  let running = await dispatched(setup, placement, { policy });
  for (let round = 0; round < 3; round++) {
    await store.storeResults([resultOf(running, failed(`try ${round}`))], null);
    await setup.sql((session) => session.execute("UPDATE executions SET ready_us = 1"));
    await store.makeReady([running.executionId]);
    running = (await store.claim({ routeId, slots: slots(placement, 1) }))[0] ?? assert.fail();
  }
  const seen: string[] = [];
  for (let token: string | null = null, pages = 0; pages === 0 || token !== null; pages++) {
    const page: Awaited<ReturnType<typeof store.attempts>> = await store.attempts(running.executionId, 2, token);
    seen.push(page.items.map(({ key, state }) => `${key.attempt} ${state}`).join(", "));
    token = page.nextToken;
  }
  assert.deepEqual(seen, ["1 FAILED, 2 FAILED", "3 FAILED, 4 DISPATCHED"]);
  assert.deepEqual(await store.attempts(newExecution().executionId, 2, null), { items: [], nextToken: null });
});
