/** Rule 28: a page of any list ends at 1 MiB of what is sent, and the next one goes on behind it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ListAttemptsResponse, ListExecutionsResponse } from "../../../gen/jobmesh/v1/execution_service.ts";
import { ListJobsResponse } from "../../../gen/jobmesh/v1/job_service.ts";
import {
  ListExecutorsRequest,
  ListExecutorsResponse,
  ListSchedulersResponse,
} from "../../../gen/jobmesh/v1/mesh_service.ts";
import { MAX_OUTPUT_TAIL_BYTES } from "../../../services/common/domain/attempt.ts";
import { MAX_PAGE_BYTES } from "../../../services/scheduler/api/page.ts";
import { type TestApi, testApi } from "./setup.ts";

/** The most labels that there may be, about 16 KiB of them. */
const labels = Object.fromEntries(Array.from({ length: 64 }, (_, index) => [`key-${index}`, "€".repeat(63)]));
const NAMES = Array.from({ length: 110 }, (_, index) => `n${String(index).padStart(3, "0")}`);
const signal = new AbortController().signal;

type PageOf<Row> = { readonly rows: readonly Row[]; readonly bytes: number; readonly next: string };

/** Reads a list to its end: pages are at most 1 MiB, the first nearly that, and give each row once. */
async function checkPages<Row>(
  read: (pageToken: string) => Promise<PageOf<Row>>,
  nameOf: (row: Row) => string,
  wanted: readonly string[],
): Promise<void> {
  const names: string[] = [];
  const sizes: number[] = [];
  for (let token = ""; sizes.length === 0 || token !== ""; ) {
    const { rows, bytes, next } = await read(token);
    names.push(...rows.map(nameOf));
    sizes.push(bytes);
    token = next;
    assert.ok(sizes.length < 20, "the list ends");
  }
  assert.deepEqual(names, wanted);
  assert.ok(sizes.length > 1, "it was more than a page");
  for (const size of sizes) assert.ok(size <= MAX_PAGE_BYTES + 100, `a page of ${size} bytes`);
  assert.ok((sizes[0] ?? 0) > MAX_PAGE_BYTES * 0.9, "and no less than fits");
}

test("rule 28: every list ends a page at 1 MiB: jobs", async (t) => {
  const api = await testApi(t);
  for (const jobId of NAMES) await api.createJob({ jobId, labels });
  const read = async (pageToken: string) => {
    const answer = await api.listJobs({ pageSize: 1_000, pageToken });
    const bytes = ListJobsResponse.encode(answer).finish().length;
    return { rows: answer.jobs, bytes, next: answer.nextPageToken };
  };
  await checkPages(read, ({ jobId }) => jobId, NAMES);
});

test("rule 28: every list ends a page at 1 MiB: executions, by labels or not, in both views", async (t) => {
  const api = await testApi(t);
  for (const name of NAMES) {
    await api.submit({ name, labels });
    await api.clock.advance(1);
  }
  const filters = [{}, { labels: { "key-0": "€".repeat(63) } }];
  for (const [filter, view] of filters.flatMap((one) => [[one, 1] as const, [one, 2] as const])) {
    const read = async (pageToken: string) => {
      const answer = await api.list({ filter, view, pageSize: 1_000, pageToken });
      const bytes = ListExecutionsResponse.encode(answer).finish().length;
      return { rows: answer.executions, bytes, next: answer.nextPageToken };
    };
    await checkPages(read, ({ name }) => name, NAMES.toReversed());
  }
});

/** One that failed so often, with as much output as an attempt keeps. */
async function failing(api: TestApi, attempts: number): Promise<string> {
  const executor = await api.join("e", 1);
  const retry = { maxAttempts: attempts, maxInterval: { seconds: 1n } };
  const { executionId } = await api.submit({ policy: { retry } });
  const failed = { kind: "failed", failure: { code: 2, message: "no", reason: "R" }, nonRetryable: false } as const;
  const text = "o".repeat(MAX_OUTPUT_TAIL_BYTES);
  for (let attempt = 1; attempt <= attempts; attempt++) {
    const key = executor.orders.at(-1)?.key ?? assert.fail();
    assert.equal(key.attempt, attempt);
    executor.result(key, { ...failed, retryDelayMs: null }, { output: text, errorOutput: text });
    await api.clock.settle();
    executor.beat(1, attempt);
    await api.clock.advance(1_000);
    await api.store.executions.makeReady([key.executionId]);
    await api.dispatcher.runOnce(signal);
    await api.clock.settle();
  }
  return executionId;
}

test("rule 28: every list ends a page at 1 MiB: attempts", async (t) => {
  const api = await testApi(t);
  const executionId = await failing(api, 40);
  const read = async (pageToken: string) => {
    const answer = await api.executions.listAttempts({ executionId, pageSize: 1_000, pageToken });
    const bytes = ListAttemptsResponse.encode(answer).finish().length;
    return { rows: answer.attempts, bytes, next: answer.nextPageToken };
  };
  const wanted = Array.from({ length: 40 }, (_, index) => `${index + 1}`);
  await checkPages(read, ({ attempt }) => `${attempt}`, wanted);
});

test("rule 28: every list ends a page at 1 MiB: executors", async (t) => {
  const api = await testApi(t);
  for (const name of NAMES) {
    await api.join(name, 1, { labels });
    await api.clock.advance(1);
  }
  const read = async (pageToken: string) => {
    const answer = await api.mesh.listExecutors(ListExecutorsRequest.fromPartial({ pageSize: 1_000, pageToken }));
    const bytes = ListExecutorsResponse.encode(answer).finish().length;
    return { rows: answer.executors, bytes, next: answer.nextPageToken };
  };
  await checkPages(read, ({ executorId }) => executorId, NAMES);
});

test("rule 28: every list ends a page at 1 MiB: schedulers, which have no next one", async (t) => {
  const schedulers = Array.from({ length: 20_000 }, (_, index) => ({
    schedulerId: `scheduler-${index}`,
    address: "scheduler.example:7070",
    version: "1.0.0",
    shardCount: 1,
    startUs: 5_000_000,
  }));
  const api = await testApi(t, { schedulers });
  const answer = await api.mesh.listSchedulers({});
  const size = ListSchedulersResponse.encode(answer).finish().length;
  assert.ok(size <= MAX_PAGE_BYTES && size > MAX_PAGE_BYTES * 0.9, `${size} bytes`);
  assert.deepEqual(answer.schedulers[0]?.schedulerId, "scheduler-0");
});
