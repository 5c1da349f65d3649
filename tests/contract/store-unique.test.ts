/** Rule 5: at most one execution of a namespace that has not ended carries a unique_key. */
import assert from "node:assert/strict";
import type { SqlSession } from "../../services/common/adapter/sql/session.ts";
import { CommitUnknown } from "../../services/common/adapter/sql/store-fault.ts";
import { defaultPolicy } from "../../services/common/domain/policy.ts";
import { uniqueKey } from "../../services/common/domain/unique-key.ts";
import type { RequestClaim } from "../../services/common/port/store-executions.ts";
import {
  addExecutor,
  failed,
  newExecution,
  onEveryStore,
  onMysql,
  resultOf,
  routeId,
  slots,
  submission,
} from "../support/execution-store.ts";
import { checkInvariants } from "../support/store-invariants.ts";
import { countStored, storedOf, submitUnique } from "../support/unique-submission.ts";

const request = (requestId: string): RequestClaim => ({
  namespace: "default",
  method: "submit",
  requestId,
  bodyHash: "0".repeat(64),
});

onEveryStore(
  "rule 5: a second submission under a key is answered with the first, until that one has ended",
  async (setup) => {
    const first = storedOf(await submitUnique(setup, "order 7"));
    assert.deepEqual(await submitUnique(setup, "order 7"), { kind: "existing", executionId: first.executionId });
    assert.equal(await countStored(setup), 1);
    await setup.store.requestStop(first.executionId, "CANCEL", "");
    const second = storedOf(await submitUnique(setup, "order 7"));
    assert.notEqual(second.executionId, first.executionId);
    assert.deepEqual(await submitUnique(setup, "order 7"), { kind: "existing", executionId: second.executionId });
  },
);

onEveryStore("rule 5: keys are compared by byte, and are of their namespace", async (setup) => {
  const keys = ["a", "A", "a ", "ä", "a\u0308", "x".repeat(128)];
  for (const key of keys) storedOf(await submitUnique(setup, key));
  storedOf(await submitUnique(setup, "a", { namespace: "other" }));
  assert.equal(await countStored(setup), keys.length + 1);
});

onEveryStore("rule 5: under REJECT a key that is taken is refused with the one that has it", async (setup) => {
  const first = storedOf(await submitUnique(setup, "k"));
  const policyOfKey = "REJECT";
  assert.deepEqual(await submitUnique(setup, "k", { policyOfKey }), {
    kind: "key_taken",
    executionId: first.executionId,
  });
  storedOf(await submitUnique(setup, "free", { policyOfKey }));
});

onEveryStore(
  "rule 5: a refused submission takes its request along, an answered one keeps the answer",
  async (setup) => {
    const first = storedOf(await submitUnique(setup, "k"));
    const taken = { kind: "key_taken", executionId: first.executionId };
    assert.deepEqual(await submitUnique(setup, "k", { policyOfKey: "REJECT", request: request("r-1") }), taken);
    assert.deepEqual(await submitUnique(setup, "k", { policyOfKey: "REJECT", request: request("r-1") }), taken);
    const existing = { kind: "existing", executionId: first.executionId };
    assert.deepEqual(await submitUnique(setup, "k", { request: request("r-2") }), existing);
    await setup.store.requestStop(first.executionId, "CANCEL", "");
    const repeated = { kind: "repeated", executionId: first.executionId };
    assert.deepEqual(await submitUnique(setup, "k", { request: request("r-2") }), repeated, "it answers as it did");
    assert.equal((await submitUnique(setup, "k", { policyOfKey: "REJECT", request: request("r-1") })).kind, "stored");
  },
);

onEveryStore("rule 5: a key is free after every end, and held by retries and by what comes back", async (setup) => {
  const { store } = setup;
  const placement = await addExecutor(setup);
  const retry = { ...defaultPolicy.retry, maxAttempts: 2, initialIntervalMs: 1 };
  const first = storedOf(await submitUnique(setup, "k", { policy: { ...defaultPolicy, retry } }));
  const claim = async () => (await store.claim({ routeId, slots: slots(placement, 1) }))[0] ?? assert.fail("no claim");
  const existing = { kind: "existing", executionId: first.executionId };
  const back = { kind: "returned", reason: "NOT_STARTED", message: "" } as const;
  await store.storeResults([resultOf(await claim(), back, { startUs: null })], null);
  assert.deepEqual(await submitUnique(setup, "k"), existing, "it came back");
  await store.storeResults([resultOf(await claim(), failed())], null);
  assert.deepEqual(await submitUnique(setup, "k"), existing, "it waits for its retry");
  await setup.sql((session) => session.execute("UPDATE executions SET ready_us = 1"));
  await store.makeReady([first.executionId]);
  await store.storeResults([resultOf(await claim(), failed())], null);
  assert.equal((await store.get(first.executionId))?.state, "FAILED");
  const second = storedOf(await submitUnique(setup, "k"));
  await store.storeResults([resultOf(await claim())], null);
  assert.equal((await store.get(second.executionId))?.state, "SUCCEEDED");
  const third = storedOf(await submitUnique(setup, "k", { policy: { ...defaultPolicy, lostPolicy: "FAIL" } }));
  await claim();
  await setup.sql((session) => session.execute("UPDATE executors SET lost_us = 2"));
  await store.endLost(placement.executorId, placement.incarnation, 10);
  assert.equal((await store.get(third.executionId))?.state, "LOST");
  const late = { ...defaultPolicy, startDeadlineMs: 1 };
  const fourth = storedOf(await submitUnique(setup, "k", { policy: late, readyUs: 1, scheduledUs: 0 }));
  await store.expire(10);
  assert.equal((await store.get(fourth.executionId))?.state, "EXPIRED");
  storedOf(await submitUnique(setup, "k"));
});

onEveryStore("rule 5: one key twice in a group is one execution", async (setup) => {
  const unique = uniqueKey("default", "k", "RETURN_EXISTING");
  const outcomes = await setup.store.submit([1, 2, 3].map(() => submission(newExecution(), { unique })));
  assert.deepEqual(
    outcomes.map(({ kind }) => kind),
    ["stored", "existing", "existing"],
  );
});

onEveryStore("rule 5: a key that is refused does not keep the others of its group from being stored", async (setup) => {
  await submitUnique(setup, "taken");
  const outcomes = await setup.store.submit([
    submission(newExecution(), { unique: uniqueKey("default", "taken", "REJECT") }),
    submission(newExecution(), { unique: uniqueKey("default", "free", "REJECT") }),
    submission(newExecution()),
  ]);
  assert.deepEqual(
    outcomes.map(({ kind }) => kind),
    ["key_taken", "stored", "stored"],
  );
});

onEveryStore(
  "rule 5: a group with keys whose COMMIT was unheard is read back, whether it stands or not",
  async (setup) => {
    for (const stands of [true, false]) {
      const key = `unheard ${stands}`;
      let isLost = false;
      const transact = setup.database.transact.bind(setup.database);
      setup.database.transact = async (name, body) => {
        if (name !== "submit" || isLost) return await transact(name, body);
        isLost = true;
        if (stands) await transact(name, body);
        throw new CommitUnknown("the connection was lost in COMMIT");
      };
      const first = storedOf(await submitUnique(setup, key));
      assert.ok(isLost);
      assert.deepEqual(await submitUnique(setup, key), { kind: "existing", executionId: first.executionId });
    }
  },
);

onEveryStore("rule 5: a key that is lost to others again and again fails its own submission alone", async (setup) => {
  const contended = newExecution();
  const transact = setup.database.transact.bind(setup.database);
  // As if, each time, another one had taken the key after the look and ended before the next.
  const losing = (session: SqlSession): SqlSession => ({
    dialect: session.dialect,
    nowUs: () => session.nowUs(),
    query: async (sql, params = []) => {
      const isCheck = sql.includes("COUNT(*) AS found") && params.includes(contended.executionId);
      return isCheck ? [{ found: 0 }] : await session.query(sql, params);
    },
    queryWithNow: (sql, params) => session.queryWithNow(sql, params),
    execute: (sql, params) => session.execute(sql, params),
    executeEach: (sql, lists) => session.executeEach(sql, lists),
  });
  setup.database.transact = (name, body) => transact(name, (session) => body(losing(session)));
  const outcomes = await setup.store.submit([
    ...["a", "b", "c"].map((key) => submission(newExecution(), { unique: uniqueKey("default", key, "REJECT") })),
    submission(contended, { unique: uniqueKey("default", "d", "REJECT") }),
    submission(newExecution({ gateKeys: ["job:1"] })),
  ]);
  assert.deepEqual(
    outcomes.map(({ kind }) => kind),
    ["stored", "stored", "stored", "contended", "stored"],
  );
  assert.equal(await countStored(setup), 4);
});

onEveryStore("rule 5: a key that is lost ten times is tried again; lost once more it is contended", async (setup) => {
  const transact = setup.database.transact.bind(setup.database);
  let losses = 0;
  const losing = (session: SqlSession): SqlSession => ({
    dialect: session.dialect,
    nowUs: () => session.nowUs(),
    query: async (sql, params = []) => {
      if (!sql.includes("COUNT(*) AS found") || losses === 0) return await session.query(sql, params);
      losses -= 1;
      return [{ found: 0 }];
    },
    queryWithNow: (sql, params) => session.queryWithNow(sql, params),
    execute: (sql, params) => session.execute(sql, params),
    executeEach: (sql, lists) => session.executeEach(sql, lists),
  });
  setup.database.transact = (name, body) => transact(name, (session) => body(losing(session)));
  for (const [times, kind] of [
    [10, "stored"],
    [11, "contended"],
  ] as const) {
    losses = times;
    assert.equal((await submitUnique(setup, `lost ${times} times`)).kind, kind);
    assert.equal(losses, 0);
  }
});

onMysql("rule 5: of many that submit one key at once one makes it, and all hear of that one", async (setup) => {
  for (let round = 0; round < 10; round++) {
    const outcomes = await Promise.all(
      Array.from({ length: 8 }, (_, own) =>
        submitUnique(setup, `race ${round}`, own % 2 === 0 ? { gateKeys: ["job:1"] } : {}),
      ),
    );
    const ids = outcomes.map((outcome) =>
      outcome.kind === "stored" ? outcome.execution.executionId : "executionId" in outcome ? outcome.executionId : "",
    );
    assert.equal(outcomes.filter(({ kind }) => kind === "stored").length, 1, outcomes.map(({ kind }) => kind).join());
    assert.equal(new Set(ids).size, 1);
  }
  await setup.sql((session) => checkInvariants(session, new Map()));
});
