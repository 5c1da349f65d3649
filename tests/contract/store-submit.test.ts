/** Rule 5: group commit, requests, refused rows, unknown commits; rule 20 at the direct dispatch. */
import assert from "node:assert/strict";
import type { RequestClaim } from "../../services/common/port/store-executions.ts";
import {
  addExecutor,
  loseExecutor,
  newExecution,
  onEveryStore,
  plain,
  slot,
  submission,
  submitAll,
} from "../support/execution-store.ts";

const HOUR_US = 3_600_000_000;

function request(requestId: string, body = "a"): RequestClaim {
  return { namespace: "default", method: "submit", requestId, bodyHash: body.repeat(64) };
}

onEveryStore("what is submitted is read back as it was given", async ({ store }) => {
  const given = newExecution({
    jobId: "job-1",
    name: "Büro 🏢",
    policy: {
      priority: 7,
      timeoutMs: 1_234,
      startDeadlineMs: 3_600_000,
      retry: {
        maxAttempts: 3,
        initialIntervalMs: 50,
        multiplier: 2,
        maxIntervalMs: 900,
        jitter: 0.25,
        nonRetryableReasons: ["exit:2"],
        maxDurationMs: 60_000,
      },
      lostPolicy: "FAIL",
      maxLosses: 5,
      maxConcurrency: 2,
      retentionMs: 60_000,
      failedRetentionMs: 120_000,
      executorLabels: { zone: "a" },
      routingStrategy: "ROUND_ROBIN",
    },
    labels: { team: "blue", app: "x" },
    mergedCount: 4,
    mergedUntilUs: 99,
    traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    tracestate: "a=b",
  });
  const [outcome] = await store.submit([submission(given)]);
  assert.equal(outcome?.kind, "stored");
  const stored = await store.get(given.executionId);
  assert.deepEqual(plain(stored), plain(outcome.execution));
  assert.deepEqual({ ...plain(stored), ...plain(given) }, plain(stored));
  assert.equal(stored?.state, "READY");
  assert.equal(stored?.startDeadlineUs, given.readyUs + 3_600_000_000);
  assert.equal(stored?.changeNumber, 1);
});

onEveryStore("a later ready time makes it SCHEDULED, with a slot or without", async (setup) => {
  const placement = await addExecutor(setup);
  const later = newExecution({ readyUs: (await setup.nowUs()) + HOUR_US });
  const [outcome] = await setup.store.submit([submission(later, { slot: slot(placement) })]);
  assert.equal(outcome?.kind === "stored" && outcome.execution.state, "SCHEDULED");
  assert.deepEqual(await setup.store.waitingRoutes(), []);
});

onEveryStore("a slot makes it the first attempt at once", async (setup) => {
  const placement = await addExecutor(setup);
  const own = slot(placement);
  const execution = newExecution();
  const [outcome] = await setup.store.submit([submission(execution, { slot: own })]);
  assert.equal(outcome?.kind, "stored");
  const stored = await setup.store.get(execution.executionId);
  assert.deepEqual(
    [stored?.state, stored?.attempt, stored?.fence, stored?.executorId, stored?.incarnation],
    ["DISPATCHED", 1, own.fence, placement.executorId, placement.incarnation],
  );
  assert.equal(stored?.dispatchUs, stored?.createUs);
  assert.deepEqual(await setup.store.waitingRoutes(), []);
});

onEveryStore(
  "rule 20: a slot of another session, of a lost or of an unknown executor is not honoured",
  async (setup) => {
    const placement = await addExecutor(setup, "executor-1", { session: 2 });
    const lost = await addExecutor(setup, "executor-2");
    await loseExecutor(setup, lost);
    const bad = [
      { ...placement, sessionNumber: 1 },
      { ...placement, incarnation: "another" as typeof placement.incarnation },
      lost,
      { ...placement, executorId: "unknown" as typeof placement.executorId },
    ];
    const outcomes = await setup.store.submit(
      [...bad, placement].map((one) => submission(newExecution(), { slot: slot(one) })),
    );
    assert.deepEqual(
      outcomes.map((outcome) => outcome.kind === "stored" && outcome.execution.state),
      ["READY", "READY", "READY", "READY", "DISPATCHED"],
    );
  },
);

onEveryStore("rule 5: a request_id makes one execution, in one group and in the next", async ({ store, rows }) => {
  const first = newExecution();
  const group = [
    submission(first, { request: request("r1") }),
    submission(newExecution(), { request: request("r1") }),
    submission(newExecution(), { request: request("r2") }),
  ];
  const [one, two, three] = await store.submit(group);
  assert.equal(one?.kind, "stored");
  assert.deepEqual(two, { kind: "repeated", executionId: first.executionId });
  assert.equal(three?.kind, "stored");
  const again = await store.submit([submission(newExecution(), { request: request("r1") })]);
  assert.deepEqual(again, [{ kind: "repeated", executionId: first.executionId }]);
  assert.equal((await rows("SELECT execution_id FROM executions")).length, 2);
});

onEveryStore(
  "rule 5: the same request_id with another body is refused; another method or namespace is another request",
  async ({ store }) => {
    await store.submit([submission(newExecution(), { request: request("r1", "a") })]);
    const [reused] = await store.submit([submission(newExecution(), { request: request("r1", "b") })]);
    assert.deepEqual(reused, { kind: "request_reused" });
    const others: RequestClaim[] = [
      { ...request("r1", "b"), method: "run" },
      { ...request("r1", "b"), namespace: "other" },
      request("r1 ", "b"),
      request("R1", "b"),
    ];
    const outcomes = await store.submit(others.map((one) => submission(newExecution(), { request: one })));
    assert.deepEqual(
      outcomes.map(({ kind }) => kind),
      ["stored", "stored", "stored", "stored"],
    );
  },
);

onEveryStore("rule 5: a request row past its time is overwritten", async ({ store, rows, sql }) => {
  await store.submit([submission(newExecution(), { request: request("r1", "a") })]);
  await sql((session) => session.execute("UPDATE requests SET expire_us = 5"));
  const second = newExecution();
  const [outcome] = await store.submit([submission(second, { request: request("r1", "b") })]);
  assert.equal(outcome?.kind, "stored");
  const [row] = await rows("SELECT result_id, body_hash FROM requests");
  assert.deepEqual({ ...row }, { result_id: second.executionId, body_hash: "b".repeat(64) });
  const [third] = await store.submit([submission(newExecution(), { request: request("r1", "b") })]);
  assert.deepEqual(third, { kind: "repeated", executionId: second.executionId });
});

onEveryStore(
  "rule 5: a row that the store refuses is refused alone and takes its request along",
  async ({ store, rows }) => {
    const there = newExecution();
    await store.submit([submission(there)]);
    const group = Array.from({ length: 20 }, () => submission(newExecution(), { request: null }));
    group[7] = submission({ ...newExecution(), executionId: there.executionId }, { request: request("r7") });
    const outcomes = await store.submit(group);
    for (const [index, outcome] of outcomes.entries()) {
      assert.equal(outcome.kind, index === 7 ? "refused" : "stored", `submission ${index}`);
    }
    assert.equal((await rows("SELECT execution_id FROM executions")).length, 20);
    assert.deepEqual(await rows("SELECT request_id FROM requests"), []);
  },
);

onEveryStore("rule 28: a target that is too long is refused alone, the longest is stored", async ({ store }) => {
  const target = (length: number) => ({ ...newExecution().target, bytes: new Uint8Array(length).fill(7) });
  const longest = newExecution({ target: target(512 * 1024) });
  const outcomes = await store.submit([
    submission(newExecution()),
    submission(newExecution({ target: target(512 * 1024 + 1) })),
    submission(longest),
  ]);
  assert.deepEqual(
    outcomes.map(({ kind }) => kind),
    ["stored", "refused", "stored"],
  );
  assert.equal((await store.get(longest.executionId))?.target.bytes.length, 512 * 1024);
});

onEveryStore("rule 4: texts of callers are stored whatever they hold", async ({ store }) => {
  const wild = `a\0b\ud800c${"😀".repeat(2_000)}`;
  const given = newExecution({ name: wild, tracestate: wild, target: { ...newExecution().target, summary: wild } });
  const [outcome] = await store.submit([submission(given)]);
  assert.equal(outcome?.kind, "stored");
  const stored = await store.get(given.executionId);
  assert.deepEqual(plain(stored), plain(outcome.execution));
  assert.ok(stored?.name.startsWith("a\ufffdb\ufffdc😀"));
  assert.ok(stored?.name.isWellFormed() && stored.name.length <= 255);
});

onEveryStore("rule 5: groups are cut at 500 rows and at 4 MiB, and every row is stored", async (setup) => {
  const inserts: number[] = [];
  const transactions: number[] = [];
  setup.onStatement((name, sql) => {
    if (name === "submit" && sql.startsWith("INSERT INTO executions")) inserts.push(1);
    if (name === "submit" && /^(BEGIN|START)/.test(sql)) transactions.push(1);
  });
  await submitAll(
    setup,
    Array.from({ length: 1_001 }, () => newExecution()),
  );
  assert.equal(inserts.length, 3);
  transactions.length = 0;
  const bytes = new Uint8Array(500 * 1024).fill(1);
  const big = Array.from({ length: 12 }, () => newExecution({ target: { ...newExecution().target, bytes } }));
  await submitAll(setup, big);
  assert.equal(transactions.length, 2);
});

onEveryStore("rule 5: many calls with one request_id at once make one execution", async ({ store, rows }) => {
  const outcomes = await Promise.all(
    Array.from({ length: 12 }, (_, index) =>
      store.submit([
        submission(newExecution(), { request: request("same") }),
        submission(newExecution(), { request: request(`own ${index}`) }),
      ]),
    ),
  );
  const kinds = outcomes.map(([same]) => same?.kind).sort();
  assert.deepEqual(kinds, [...Array.from({ length: 11 }, () => "repeated"), "stored"]);
  assert.equal((await rows("SELECT execution_id FROM executions")).length, 13);
});
