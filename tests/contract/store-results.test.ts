/** Rules 1 to 4: results under their keys, with their offsets, whatever they hold. */
import assert from "node:assert/strict";
import { defaultPolicy } from "../../services/common/domain/policy.ts";
import type { BatchOffsets, StoreResultsOutcome } from "../../services/common/port/store-executions.ts";
import { SystemRandom } from "../../services/common/runtime/system-random.ts";
import {
  addExecutor,
  dispatched,
  failed,
  keyOf,
  newExecution,
  onEveryStore,
  plain,
  resultOf,
  routeId,
  type StoreSetup,
  slot,
  slots,
  submission,
} from "../support/execution-store.ts";

const retrying = { ...defaultPolicy, retry: { ...defaultPolicy.retry, maxAttempts: 3, initialIntervalMs: 60_000 } };

function applied(outcome: StoreResultsOutcome): boolean[] {
  assert.equal(outcome.kind, "stored");
  return outcome.results.map((one) => one.applied);
}

onEveryStore("a success ends the execution and its attempt, with all that was reported", async (setup) => {
  const { store } = setup;
  const running = await dispatched(setup, await addExecutor(setup), { jobId: "job-1" });
  const answer = Uint8Array.of(0, 1, 255);
  const more = { startUs: 1_500_000, endUs: 2_500_001, output: "out", errorOutput: "err", outputPieceCount: 3 };
  const outcome = await store.storeResults([resultOf(running, { kind: "succeeded", result: answer }, more)], null);
  assert.deepEqual(outcome, {
    kind: "stored",
    results: [{ key: keyOf(running), applied: true, state: "SUCCEEDED", readyUs: null, routeId }],
  });
  const ended = await store.get(running.executionId);
  assert.deepEqual(plain(ended?.result), answer);
  assert.deepEqual(
    [ended?.state, ended?.startUs, ended?.countedAttempts, ended?.failure, ended?.changeNumber],
    ["SUCCEEDED", 1_500_000, 1, null, 2],
  );
  assert.ok((ended?.endedUs ?? 0) >= running.createUs);
  const { items } = await store.attempts(running.executionId, 10, null);
  assert.deepEqual(items, [
    {
      key: keyOf(running),
      executorId: running.executorId,
      incarnation: running.incarnation,
      state: "SUCCEEDED",
      dispatchUs: running.dispatchUs,
      startUs: 1_500_000,
      endUs: 2_500_001,
      exitCode: 0,
      output: "out",
      errorOutput: "err",
      failure: null,
      counted: true,
      returnReason: null,
    },
  ]);
  const [log] = await setup.rows(
    "SELECT job_id, executor_id, status, start_time, end_time, output, error FROM job_logs",
  );
  assert.deepEqual(
    { ...log },
    {
      job_id: "job-1",
      executor_id: running.executorId,
      status: 5,
      start_time: "1970-01-01 00:00:01.500000",
      end_time: "1970-01-01 00:00:02.500001",
      output: "out",
      error: "err",
    },
  );
});

onEveryStore("a failure with attempts left waits for the next one, then runs under a new fence", async (setup) => {
  const { store } = setup;
  const placement = await addExecutor(setup);
  const first = await dispatched(setup, placement, { policy: retrying });
  const beforeUs = await setup.nowUs();
  const outcome = await store.storeResults([resultOf(first, failed("boom"), { exitCode: 1 })], null);
  assert.equal(outcome.kind, "stored");
  const [one] = outcome.results;
  assert.equal(one?.state, "SCHEDULED");
  assert.ok((one.readyUs ?? 0) >= beforeUs + 60_000_000);
  const waiting = await store.get(first.executionId);
  assert.deepEqual(
    [waiting?.state, waiting?.stateReason, waiting?.readyUs],
    ["SCHEDULED", "RETRY_BACKOFF", one.readyUs],
  );
  assert.deepEqual(waiting?.failure, { code: 2, message: "boom", reason: "exit:1" });
  await setup.sql((session) => session.execute("UPDATE executions SET ready_us = 1"));
  assert.deepEqual(await store.makeReady([first.executionId]), [{ executionId: first.executionId, routeId }]);
  const [second] = await store.claim({ routeId, slots: slots(placement, 1) });
  assert.deepEqual([second?.attempt, second?.countedAttempts], [2, 1]);
  assert.notEqual(second?.fence, first.fence);
  assert.ok(second !== undefined);
  assert.deepEqual(applied(await store.storeResults([resultOf(second)], null)), [true]);
  const { items } = await store.attempts(first.executionId, 10, null);
  assert.deepEqual(
    items.map(({ state }) => state),
    ["FAILED", "SUCCEEDED"],
  );
  assert.equal((await store.get(first.executionId))?.failure, null);
});

onEveryStore("rule 2: a result under another attempt, fence or execution changes nothing", async (setup) => {
  const { store } = setup;
  const running = await dispatched(setup, await addExecutor(setup));
  const other = newExecution();
  const key = keyOf(running);
  const wrong = [
    { ...key, attempt: 2 },
    { ...key, fence: (key.fence ^ 1n) as typeof key.fence },
    { ...key, executionId: other.executionId },
  ];
  const before = await store.get(running.executionId);
  const outcome = await store.storeResults(
    wrong.map((one) => resultOf(running, undefined, { key: one })),
    null,
  );
  assert.deepEqual(
    outcome.kind === "stored" && outcome.results,
    wrong.map((one) => ({ key: one, applied: false, state: null, readyUs: null, routeId: null })),
  );
  assert.deepEqual(await store.get(running.executionId), before);
  assert.deepEqual(await setup.rows("SELECT id FROM job_logs"), []);
});

onEveryStore("rule 2: a final state never changes", async (setup) => {
  const { store } = setup;
  const running = await dispatched(setup, await addExecutor(setup), { policy: retrying });
  await store.storeResults([resultOf(running)], null);
  const before = await store.get(running.executionId);
  assert.deepEqual(applied(await store.storeResults([resultOf(running, failed())], null)), [false]);
  await store.markStarted([{ key: keyOf(running), startUs: 7 }]);
  assert.equal(await store.stopAttempt(keyOf(running), "TIMEOUT", "late"), false);
  assert.equal((await store.requestStop(running.executionId, "CANCEL", "late")).kind, "was_final");
  assert.deepEqual(await store.makeReady([running.executionId]), []);
  assert.deepEqual(await store.get(running.executionId), before);
});

onEveryStore("rule 2: of two results under one key in a batch the first counts", async (setup) => {
  const running = await dispatched(setup, await addExecutor(setup));
  setup.onStatement((_name, sql) => assert.notEqual(sql, "ROLLBACK", "nothing is refused and tried again"));
  const outcome = await setup.store.storeResults([resultOf(running), resultOf(running, failed())], null);
  assert.deepEqual(applied(outcome), [true, false]);
  assert.equal((await setup.store.get(running.executionId))?.state, "SUCCEEDED");
});

function offsets(more: Partial<BatchOffsets> = {}): BatchOffsets {
  return { partition: 3, generation: 1, firstOffset: 10, nextOffset: 12, lastKey: "last", ...more };
}

async function addPartition({ sql }: StoreSetup): Promise<void> {
  await sql((session) =>
    session.execute(
      "INSERT INTO result_offsets (part, generation, next_offset, last_key, stored_us) VALUES (3, 1, 10, '', 0)",
    ),
  );
}

onEveryStore("rule 3: results and offset move together, once", async (setup) => {
  const { store } = setup;
  await addPartition(setup);
  const placement = await addExecutor(setup);
  const [one, two] = [await dispatched(setup, placement), await dispatched(setup, placement)];
  const stale = [
    offsets({ firstOffset: 9 }),
    offsets({ firstOffset: 11 }),
    offsets({ generation: 2 }),
    offsets({ partition: 4 }),
  ];
  for (const wrong of stale) {
    assert.deepEqual(await store.storeResults([resultOf(one)], wrong), { kind: "offset_conflict" });
  }
  assert.equal((await store.get(one.executionId))?.state, "DISPATCHED");
  assert.deepEqual(applied(await store.storeResults([resultOf(one)], offsets())), [true]);
  assert.deepEqual(await store.storeResults([resultOf(two)], offsets()), { kind: "offset_conflict" });
  assert.equal((await store.get(two.executionId))?.state, "DISPATCHED");
  const [row] = await setup.rows("SELECT next_offset, last_key FROM result_offsets");
  assert.deepEqual([Number(row?.next_offset), row?.last_key], [12, "last"]);
  assert.deepEqual(await store.storeResults([], offsets({ firstOffset: 12, nextOffset: 13 })), {
    kind: "stored",
    results: [],
  });
});

const wildTexts: Record<string, string> = {
  "random bytes": Buffer.from(new SystemRandom().bytes(4_000)).toString("latin1"),
  NUL: `a\0b\0`,
  "lone surrogates": "\ud800a\udc00\udfff\ud83d",
  "16 KiB of 4-byte characters": "😀".repeat(4_096),
  "far too long": "😀x".repeat(20_000),
};

for (const [name, wild] of Object.entries(wildTexts)) {
  onEveryStore(`rule 4: a result with ${name} is stored`, async (setup) => {
    const { store } = setup;
    const running = await dispatched(setup, await addExecutor(setup));
    const report = resultOf(running, failed(wild, wild), { output: wild, errorOutput: wild });
    assert.deepEqual(applied(await store.storeResults([report], null)), [true]);
    const ended = await store.get(running.executionId);
    const { items } = await store.attempts(running.executionId, 10, null);
    const texts = [ended?.stateMessage, ended?.failure?.message, items[0]?.output, items[0]?.errorOutput];
    for (const text of texts) assert.ok(text?.isWellFormed() && !text.includes("\0") && text.length > 0);
    assert.equal(ended?.stateReason, "TARGET_FAILED");
    const fits = wild.length <= 8_192 ? wild.toWellFormed().replaceAll("\0", "\ufffd") : null;
    if (fits !== null) assert.deepEqual([ended?.failure?.message, items[0]?.output], [fits, fits]);
    else assert.ok(wild.endsWith(items[0]?.output ?? "none"), "the end of the output is kept");
  });
}

onEveryStore(
  "rule 4: a result that the store refuses ends FAILED, the others and the offset move on",
  async (setup) => {
    const { store } = setup;
    await addPartition(setup);
    const placement = await addExecutor(setup);
    const group = Array.from({ length: 21 }, () => submission(newExecution(), { slot: slot(placement) }));
    const running = (await store.submit(group)).map((one) => (one.kind === "stored" ? one.execution : assert.fail()));
    const results = running.map((one, index) => resultOf(one, undefined, { output: index === 13 ? "poison" : "fine" }));
    setup.refuse((sql, params) => sql.includes("INTO job_logs") && params.includes("poison"));
    const outcome = await store.storeResults(results, offsets());
    assert.ok(applied(outcome).every(Boolean));
    for (const [index, one] of running.entries()) {
      const ended = await store.get(one.executionId);
      const wanted = index === 13 ? ["FAILED", "RESULT_UNSTORABLE"] : ["SUCCEEDED", "UNSPECIFIED"];
      assert.deepEqual([ended?.state, ended?.stateReason], wanted, `result ${index}`);
    }
    const [row] = await setup.rows("SELECT next_offset FROM result_offsets");
    assert.equal(Number(row?.next_offset), 12);
    assert.equal((await setup.rows("SELECT id FROM job_logs")).length, 21);
  },
);
