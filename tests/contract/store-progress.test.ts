/** How far attempts say they are: of the current attempt alone, shown for the last one. */
import assert from "node:assert/strict";
import { type AttemptProgress, MAX_PROGRESS_MESSAGE_CHARS } from "../../services/common/domain/attempt.ts";
import { defaultPolicy } from "../../services/common/domain/policy.ts";
import {
  addExecutor,
  dispatched,
  failed,
  keyOf,
  newExecution,
  onEveryStore,
  resultOf,
  routeId,
  slot,
  slots,
  submission,
} from "../support/execution-store.ts";

function report(key: AttemptProgress["key"], fraction: number, message = ""): AttemptProgress {
  return { key, fraction, message };
}

onEveryStore("progress is shown with the execution, whole or in a list, the newest of it", async (setup) => {
  const { store } = setup;
  const placement = await addExecutor(setup);
  const [one, two] = [await dispatched(setup, placement), await dispatched(setup, placement)];
  assert.equal(one.progress, null);
  await store.storeProgress([report(keyOf(one), 0.25, "a quarter"), report(keyOf(two), 1)]);
  await store.storeProgress([report(keyOf(one), 0.5, "half")]);
  await store.storeProgress([]);
  const stored = await store.get(one.executionId);
  assert.deepEqual(stored?.progress, { fraction: 0.5, message: "half" });
  assert.equal(stored.changeNumber, one.changeNumber + 2, "each is a change");
  assert.deepEqual((await store.get(two.executionId))?.progress, { fraction: 1, message: "" });
});

onEveryStore("rule 2: progress under another key, or of what has ended, changes nothing", async (setup) => {
  const { store } = setup;
  const placement = await addExecutor(setup);
  const one = await dispatched(setup, placement);
  const key = keyOf(one);
  const others = [
    { ...key, attempt: 2 },
    { ...key, fence: (key.fence ^ 1n) as typeof key.fence },
  ];
  await store.storeProgress(others.map((other) => report(other, 0.5)));
  assert.deepEqual((await store.get(one.executionId))?.progress, null);
  await store.storeProgress([report(key, 0.5, "half")]);
  await store.storeResults([resultOf(one)], null);
  const ended = await store.get(one.executionId);
  await store.storeProgress([report(key, 1)]);
  assert.deepEqual((await store.get(one.executionId))?.progress, { fraction: 0.5, message: "half" });
  assert.equal((await store.get(one.executionId))?.changeNumber, ended?.changeNumber, "what is final never changes");
});

onEveryStore("an attempt begins without the progress of the one before", async (setup) => {
  const { store } = setup;
  const placement = await addExecutor(setup);
  const policy = { ...defaultPolicy, retry: { ...defaultPolicy.retry, maxAttempts: 2, initialIntervalMs: 0 } };
  const first = await dispatched(setup, placement, { policy });
  await store.storeProgress([report(keyOf(first), 0.9)]);
  await store.storeResults([resultOf(first, failed())], null);
  assert.deepEqual(
    (await store.get(first.executionId))?.progress,
    { fraction: 0.9, message: "" },
    "its last attempt's",
  );
  await setup.sql((session) => session.execute("UPDATE executions SET ready_us = 1"));
  await store.makeReady([first.executionId]);
  const second = (await store.claim({ routeId, slots: slots(placement, 1) }))[0] ?? assert.fail();
  assert.deepEqual([second.attempt, second.progress], [2, null]);
  assert.equal((await store.get(first.executionId))?.progress, null);
});

onEveryStore("rule 4: what an attempt says is stored, whatever it is, up to its end", async (setup) => {
  const { store } = setup;
  const one = await dispatched(setup, await addExecutor(setup));
  await store.storeProgress([report(keyOf(one), 0, `a\0\ud800${"😀".repeat(MAX_PROGRESS_MESSAGE_CHARS)}`)]);
  const message = (await store.get(one.executionId))?.progress?.message ?? assert.fail();
  assert.ok(message.startsWith("a\ufffd\ufffd😀") && message.isWellFormed());
  assert.ok(message.length <= MAX_PROGRESS_MESSAGE_CHARS && message.length >= MAX_PROGRESS_MESSAGE_CHARS - 1);
});

onEveryStore("the progress of 500 attempts is one transaction", async (setup) => {
  const { store } = setup;
  const placement = await addExecutor(setup);
  const group = Array.from({ length: 500 }, () => submission(newExecution(), { slot: slot(placement) }));
  const running = (await store.submit(group)).flatMap((one) => (one.kind === "stored" ? [one.execution] : []));
  let transactions = 0;
  const { database } = setup;
  const transact = database.transact.bind(database);
  database.transact = (name, body) => {
    transactions++;
    return transact(name, body);
  };
  await store.storeProgress(running.map((one, index) => report(keyOf(one), index / 500)));
  assert.ok(transactions === 1);
  assert.deepEqual((await store.get(running[250]?.executionId ?? assert.fail()))?.progress, {
    fraction: 0.5,
    message: "",
  });
});
