/** Rule 34 on a real MariaDB: no transaction of ours outlives the time after which the feed looks no more. */
import assert from "node:assert/strict";
import { resolve } from "node:path";
import { after, before, test } from "node:test";
import { openSqlDatabase, openStore } from "../../services/common/adapter/open-store.ts";
import { SqlFeedStore } from "../../services/common/adapter/sql/feed.ts";
import { randomExecutionId } from "../../services/common/domain/execution-id.ts";
import type { Clock } from "../../services/common/port/clock.ts";
import { StoreUnavailable } from "../../services/common/port/store.ts";
import { SystemClock } from "../../services/common/runtime/system-clock.ts";
import { SystemRandom } from "../../services/common/runtime/system-random.ts";
import { placeAt } from "../../services/scheduler/feed/resume-token.ts";
import { type Backends, createDatabase, startBackends } from "../support/backends.ts";
import { newExecution, submission } from "../support/execution-store.ts";
import { MeshProcesses } from "../support/mesh-process.ts";

const COMMITTER = resolve(import.meta.dirname, "../support/late-committer.ts");
/** The server drops a connection that is idle for 5 s inside a transaction; it looks about once a second. */
const LONGEST_MS = 10_000;
const random = new SystemRandom();
const system = new SystemClock();
let backends: Backends;

before(async () => {
  backends = await startBackends({ mysql: true });
});
after(() => backends.stop());

test("rule 34: a process that stands still before its COMMIT is dropped within 10 s, and ends nothing when it goes on", async (t) => {
  const database = await createDatabase(backends.mysqlUrl);
  t.after(() => database.drop());
  const store = openStore(database.url, { clock: system, random });
  await store.start();
  t.after(() => store.stop());
  const executionId = randomExecutionId(Date.now(), random.bytes(10));
  await store.executions.submit([submission(newExecution({ executionId }))]);
  const late = new MeshProcesses(t).start([database.url, executionId], { program: [process.execPath, COMMITTER] });
  await late.printed(/at commit/);
  const startMs = performance.now();
  const beforeUs = await store.nowUs();
  // It holds the row: this one waits until the server has dropped it.
  const outcome = await store.executions.requestStop(executionId, "CANCEL", "in time");
  const tookMs = performance.now() - startMs;
  assert.ok(tookMs < LONGEST_MS, `the row was held for ${tookMs} ms`);
  assert.equal(outcome.kind, "ended");
  late.signal("SIGCONT");
  const [, became] = await late.printed(/became (\w+)/);
  assert.equal(became, "CommitUnknown");
  const now = await store.executions.get(executionId);
  assert.equal(now?.stateMessage, "in time");
  // What the feed sees of it is the end that stands, of a time after the one that was dropped.
  const { places } = await store.feed.ended(placeAt(0), null, 10);
  assert.equal(places.length, 1);
  assert.ok((places[0]?.endedUs ?? 0) >= beforeUs);
});

test("rule 34: a transaction that was open for longer than 10 s is not committed, and the feed waits for longer", async (t) => {
  const { url, drop } = await createDatabase(backends.mysqlUrl);
  t.after(() => drop());
  let passedMs = 0;
  const clock: Clock = {
    wallUs: () => system.wallUs(),
    monotonicMs: () => system.monotonicMs() + passedMs,
    setTimer: (delayMs, callback) => system.setTimer(delayMs, callback),
    sleep: (delayMs, signal) => system.sleep(delayMs, signal),
  };
  const opened = await openSqlDatabase(url, { clock, random });
  t.after(() => opened.close());
  const slow = (name: string, ms: number) =>
    opened.database.transact("slow", async (session) => {
      await session.execute("INSERT INTO mesh (name, value) VALUES (?, ?)", [name, "0"]);
      passedMs += ms;
    });
  await assert.rejects(slow("late", 10_500), StoreUnavailable);
  await slow("in time", 9_000);
  const rows = await opened.database.read("test", (session) => session.query("SELECT name FROM mesh ORDER BY name"));
  assert.deepEqual(
    rows.map(({ name }) => name),
    ["in time"],
  );
  const feed = new SqlFeedStore(opened.database, "mysql");
  assert.ok(feed.settleUs > (10_000 + 5_000) * 1_000);
});
