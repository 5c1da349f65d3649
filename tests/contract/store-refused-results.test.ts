/** Rule 4: results that the store refuses, and numbers that nobody can store. */
import assert from "node:assert/strict";
import type { AttemptResult } from "../../services/common/domain/attempt.ts";
import { defaultPolicy } from "../../services/common/domain/policy.ts";
import {
  addExecutor,
  dispatched,
  failed,
  keyOf,
  newExecution,
  onEveryStore,
  resultOf,
  slot,
  submission,
} from "../support/execution-store.ts";

const retrying = { ...defaultPolicy, retry: { ...defaultPolicy.retry, maxAttempts: 3, initialIntervalMs: 60_000 } };

const badNumbers: [string, Partial<AttemptResult>][] = [
  ["a start that is no number", { startUs: Number.NaN }],
  ["a start with a fraction", { startUs: 1.5 }],
  ["an end before the epoch", { endUs: -1 }],
  ["an end beyond all years", { endUs: 2 ** 62 }],
  ["an exit code of 41 bits", { exitCode: 2 ** 40 }],
  ["half a piece of output", { outputPieceCount: 0.5 }],
];
for (const [name, bad] of badNumbers) {
  onEveryStore(`rule 4: a result with ${name} ends FAILED, the one beside it is stored`, async (setup) => {
    const { store } = setup;
    const placement = await addExecutor(setup);
    const [one, two] = [await dispatched(setup, placement), await dispatched(setup, placement)];
    const outcome = await store.storeResults([resultOf(one, undefined, bad), resultOf(two)], null);
    assert.equal(outcome.kind === "stored" && outcome.results.every(({ applied }) => applied), true);
    const ended = await store.get(one.executionId);
    assert.deepEqual([ended?.state, ended?.stateReason], ["FAILED", "RESULT_UNSTORABLE"]);
    assert.equal((await store.attempts(one.executionId, 5, null)).items[0]?.state, "FAILED");
    assert.equal((await store.get(two.executionId))?.state, "SUCCEEDED");
  });
}

onEveryStore(
  "rule 4: a result that the store refuses is not tried again, and CANCEL still gives CANCELLED",
  async (setup) => {
    const { store } = setup;
    const placement = await addExecutor(setup);
    const [one, two] = [
      await dispatched(setup, placement, { policy: retrying }),
      await dispatched(setup, placement, { policy: retrying }),
    ];
    await store.requestStop(two.executionId, "CANCEL", "");
    const bad = { endUs: -1 };
    await store.storeResults([resultOf(one, failed(), bad), resultOf(two, failed(), bad)], null);
    assert.equal((await store.get(one.executionId))?.state, "FAILED");
    assert.equal((await store.get(two.executionId))?.state, "CANCELLED");
  },
);

onEveryStore(
  "rule 4: a wait that a target asks for is bounded, a start that is no time is not noted",
  async (setup) => {
    const { store } = setup;
    const placement = await addExecutor(setup);
    for (const retryDelayMs of [1e300, -5, Number.NaN, 0.4]) {
      const running = await dispatched(setup, placement, { policy: retrying });
      await store.markStarted([{ key: keyOf(running), startUs: Number.NaN }]);
      const outcome = { ...failed(), kind: "failed", nonRetryable: false, retryDelayMs } as AttemptResult["outcome"];
      await store.storeResults([resultOf(running, outcome)], null);
      const waiting = await store.get(running.executionId);
      assert.equal(waiting?.state, "SCHEDULED", `${retryDelayMs}`);
      assert.ok(Number.isSafeInteger(waiting.readyUs), `${retryDelayMs}`);
    }
  },
);

onEveryStore("rule 4: a group of any size finds its one bad result", async (setup) => {
  const { store } = setup;
  const placement = await addExecutor(setup);
  const group = Array.from({ length: 37 }, () => submission(newExecution(), { slot: slot(placement) }));
  const running = (await store.submit(group)).map((one) => (one.kind === "stored" ? one.execution : assert.fail()));
  for (const bad of [0, 36]) {
    const results = running.map((one, index) => resultOf(one, undefined, index === bad ? { endUs: -1 } : {}));
    await store.storeResults(results.slice(bad === 0 ? 0 : 18, bad === 0 ? 18 : 37), null);
  }
  const states = await store.states(running.map(({ executionId }) => executionId));
  const failedOnes = states.filter(({ state }) => state === "FAILED").map(({ executionId }) => executionId);
  assert.deepEqual(failedOnes.sort(), [running[0]?.executionId, running[36]?.executionId].sort());
  assert.equal(states.filter(({ state }) => state === "SUCCEEDED").length, 35);
});

onEveryStore("a start is kept from the first attempt on, and makes DISPATCHED RUNNING once", async (setup) => {
  const { store } = setup;
  const placement = await addExecutor(setup);
  const running = await dispatched(setup, placement, { policy: retrying });
  const key = keyOf(running);
  await store.markStarted([{ key: { ...key, attempt: 2 }, startUs: 5 }]);
  assert.equal((await store.get(running.executionId))?.state, "DISPATCHED");
  await store.markStarted([{ key, startUs: 1_000 }]);
  await store.markStarted([{ key, startUs: 2_000 }]);
  const started = await store.get(running.executionId);
  assert.deepEqual([started?.state, started?.startUs, started?.changeNumber], ["RUNNING", 1_000, 2]);
  const [attempt] = (await store.attempts(running.executionId, 10, null)).items;
  assert.deepEqual([attempt?.state, attempt?.startUs, attempt?.endUs], ["RUNNING", 1_000, null]);
});
