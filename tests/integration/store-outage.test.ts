/** What the store on MySQL does while its server is away, and after: on a MariaDB of this test's own. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openStore } from "../../services/common/adapter/open-store.ts";
import { CommitUnknown } from "../../services/common/adapter/sql/store-fault.ts";
import { type Store, StoreUnavailable } from "../../services/common/port/store.ts";
import { SystemClock } from "../../services/common/runtime/system-clock.ts";
import { SystemRandom } from "../../services/common/runtime/system-random.ts";
import { createDatabase, MariaDbServer } from "../support/backends.ts";
import { newJob } from "../support/store-records.ts";

const server = new MariaDbServer();
const deps = { clock: new SystemClock(), random: new SystemRandom() };
let url = "";
/** Awaited before each COMMIT of a JobStore.pause. */
let beforeCommit: () => Promise<void> = async () => {};
let store: Store;

before(async () => {
  await server.start();
  ({ url } = await createDatabase(server.url));
  store = openStore(url, {
    ...deps,
    onStatement: async (name, sql) => {
      if (name === "job.pause" && sql === "COMMIT") await beforeCommit();
    },
  });
  await store.start();
});

after(async () => {
  await store.stop();
  await server.dispose();
});

/** Milliseconds until the call is refused as StoreUnavailable. */
async function refusedAfterMs(call: () => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  await assert.rejects(call, StoreUnavailable);
  return performance.now() - begin;
}

test("a server that does not answer is noticed within a second or two, and found again without a restart", async () => {
  server.pause();
  const nowMs = await refusedAfterMs(() => store.nowUs());
  assert.ok(nowMs < 1_500, `nowUs took ${nowMs} ms`);
  const other = openStore(url, deps);
  const startMs = await refusedAfterMs(() => other.start());
  assert.ok(startMs < 3_000, `start took ${startMs} ms`);
  server.resume();
  assert.ok((await store.nowUs()) > 0);
});

test("a server that was killed is noticed at once, what it stored is there after, and old connections harm nobody", async () => {
  const job = newJob();
  await store.jobs.create(job, null);
  await server.kill();
  const refusedMs = await refusedAfterMs(() => store.jobs.getByUid(job.jobUid));
  assert.ok(refusedMs < 1_000, `a read took ${refusedMs} ms`);
  await refusedAfterMs(() => store.jobs.create(newJob(), null));
  await server.start();
  const found = await Promise.all(Array.from({ length: 20 }, () => store.jobs.getByUid(job.jobUid)));
  assert.ok(found.every((one) => one?.jobId === job.jobId));
});

test("a transaction is not lost to a connection that died in the pool", async () => {
  // Many connections, all idle; then the server is another one.
  await Promise.all(Array.from({ length: 12 }, () => store.jobs.create(newJob(), null)));
  await server.stop();
  await server.start();
  const outcomes = await Promise.all(Array.from({ length: 12 }, () => store.jobs.create(newJob(), null)));
  assert.ok(outcomes.every(({ kind }) => kind === "created"));
});

test("rule 34: a transaction that stands still before COMMIT is undone by the server and lets go of its rows", async () => {
  const job = newJob();
  await store.jobs.create(job, null);
  const reached = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  beforeCommit = async () => {
    reached.resolve();
    await goOn.promise;
  };
  const standing = store.jobs.pause(job.namespace, job.jobId, "never");
  await reached.promise;
  const changed = await store.jobs.update({ ...job, name: "after" }, null, 1);
  goOn.resolve();
  await assert.rejects(standing, CommitUnknown);
  assert.equal(changed.kind, "changed");
  const stored = await store.jobs.get(job.namespace, job.jobId);
  assert.deepEqual([stored?.name, stored?.paused], ["after", false]);
});
