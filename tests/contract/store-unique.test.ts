/** Rule 5: at most one execution of a namespace that has not ended carries a unique_key. */
import assert from "node:assert/strict";
import { CommitUnknown } from "../../services/common/adapter/sql/store-fault.ts";
import type { Execution, NewExecution } from "../../services/common/domain/execution.ts";
import { defaultPolicy } from "../../services/common/domain/policy.ts";
import type { UniquePolicy } from "../../services/common/domain/unique-key.ts";
import type { RequestClaim, SubmitOutcome } from "../../services/common/port/store-executions.ts";
import {
  addExecutor,
  failed,
  newExecution,
  onEveryStore,
  onMysql,
  plain,
  resultOf,
  routeId,
  type StoreSetup,
  slots,
  submission,
} from "../support/execution-store.ts";
import { checkInvariants } from "../support/store-invariants.ts";

type Given = Partial<NewExecution> & { readonly policyOfKey?: UniquePolicy; readonly request?: RequestClaim | null };

/** Submits one under a key. */
async function submit({ store }: StoreSetup, key: string, given: Given = {}): Promise<SubmitOutcome> {
  const { policyOfKey: policy = "RETURN_EXISTING", request = null, ...more } = given;
  const [outcome] = await store.submit([submission(newExecution(more), { request, unique: { key, policy } })]);
  return outcome ?? assert.fail("each submission has an outcome");
}

function stored(outcome: SubmitOutcome): Execution {
  assert.equal(outcome.kind, "stored");
  return outcome.kind === "stored" ? outcome.execution : assert.fail();
}

const request = (requestId: string): RequestClaim => ({
  namespace: "default",
  method: "submit",
  requestId,
  bodyHash: "0".repeat(64),
});

async function counted(setup: StoreSetup): Promise<number> {
  const [row] = await setup.rows("SELECT COUNT(*) AS found FROM executions");
  return Number(row?.found);
}

onEveryStore(
  "rule 5: a second submission under a key is answered with the first, until that one has ended",
  async (setup) => {
    const first = stored(await submit(setup, "order 7"));
    assert.deepEqual(await submit(setup, "order 7"), { kind: "existing", executionId: first.executionId });
    assert.equal(await counted(setup), 1);
    await setup.store.requestStop(first.executionId, "CANCEL", "");
    const second = stored(await submit(setup, "order 7"));
    assert.notEqual(second.executionId, first.executionId);
    assert.deepEqual(await submit(setup, "order 7"), { kind: "existing", executionId: second.executionId });
  },
);

onEveryStore("rule 5: keys are compared by byte, and are of their namespace", async (setup) => {
  const keys = ["a", "A", "a ", "ä", "a\u0308", "x".repeat(128)];
  for (const key of keys) stored(await submit(setup, key));
  stored(await submit(setup, "a", { namespace: "other" }));
  assert.equal(await counted(setup), keys.length + 1);
});

onEveryStore("rule 5: under REJECT a key that is taken is refused with the one that has it", async (setup) => {
  const first = stored(await submit(setup, "k"));
  const policyOfKey = "REJECT";
  assert.deepEqual(await submit(setup, "k", { policyOfKey }), { kind: "key_taken", executionId: first.executionId });
  stored(await submit(setup, "free", { policyOfKey }));
});

onEveryStore(
  "rule 5: a refused submission takes its request along, an answered one keeps the answer",
  async (setup) => {
    const first = stored(await submit(setup, "k"));
    const taken = { kind: "key_taken", executionId: first.executionId };
    assert.deepEqual(await submit(setup, "k", { policyOfKey: "REJECT", request: request("r-1") }), taken);
    assert.deepEqual(await submit(setup, "k", { policyOfKey: "REJECT", request: request("r-1") }), taken);
    const existing = { kind: "existing", executionId: first.executionId };
    assert.deepEqual(await submit(setup, "k", { request: request("r-2") }), existing);
    await setup.store.requestStop(first.executionId, "CANCEL", "");
    const repeated = { kind: "repeated", executionId: first.executionId };
    assert.deepEqual(await submit(setup, "k", { request: request("r-2") }), repeated, "it answers as it did");
    assert.equal((await submit(setup, "k", { policyOfKey: "REJECT", request: request("r-1") })).kind, "stored");
  },
);

onEveryStore("rule 5: a key is free after every end, and held by retries and by what comes back", async (setup) => {
  const { store } = setup;
  const placement = await addExecutor(setup);
  const retry = { ...defaultPolicy.retry, maxAttempts: 2, initialIntervalMs: 1 };
  const first = stored(await submit(setup, "k", { policy: { ...defaultPolicy, retry } }));
  const claim = async () => (await store.claim({ routeId, slots: slots(placement, 1) }))[0] ?? assert.fail("no claim");
  const existing = { kind: "existing", executionId: first.executionId };
  const back = { kind: "returned", reason: "NOT_STARTED", message: "" } as const;
  await store.storeResults([resultOf(await claim(), back, { startUs: null })], null);
  assert.deepEqual(await submit(setup, "k"), existing, "it came back");
  await store.storeResults([resultOf(await claim(), failed())], null);
  assert.deepEqual(await submit(setup, "k"), existing, "it waits for its retry");
  await setup.sql((session) => session.execute("UPDATE executions SET ready_us = 1"));
  await store.makeReady([first.executionId]);
  await store.storeResults([resultOf(await claim(), failed())], null);
  assert.equal((await store.get(first.executionId))?.state, "FAILED");
  const second = stored(await submit(setup, "k"));
  await store.storeResults([resultOf(await claim())], null);
  assert.equal((await store.get(second.executionId))?.state, "SUCCEEDED");
  const third = stored(await submit(setup, "k", { policy: { ...defaultPolicy, lostPolicy: "FAIL" } }));
  await claim();
  await setup.sql((session) => session.execute("UPDATE executors SET lost_us = 2"));
  await store.endLost(placement.executorId, placement.incarnation, 10);
  assert.equal((await store.get(third.executionId))?.state, "LOST");
  const late = { ...defaultPolicy, startDeadlineMs: 1 };
  const fourth = stored(await submit(setup, "k", { policy: late, readyUs: 1, scheduledUs: 0 }));
  await store.expire(10);
  assert.equal((await store.get(fourth.executionId))?.state, "EXPIRED");
  stored(await submit(setup, "k"));
});

onEveryStore("rule 5: REPLACE_WAITING gives what waits the new target and time, and nothing else", async (setup) => {
  const { store } = setup;
  const nowUs = await setup.nowUs();
  const later = { readyUs: nowUs + 3_600_000_000, scheduledUs: nowUs + 3_600_000_000 };
  const first = stored(await submit(setup, "k", { ...later, labels: { a: "1" }, name: "first" }));
  assert.equal(first.state, "SCHEDULED");
  const target = { kind: "handler", method: "a.B/C", summary: "a.B/C", bytes: Uint8Array.of(9) } as const;
  const again = { policyOfKey: "REPLACE_WAITING", target, labels: { b: "2" }, name: "second" } as const;
  const sooner = { readyUs: nowUs + 1_800_000_000, scheduledUs: nowUs + 1_800_000_000 };
  const moved = stored(await submit(setup, "k", { ...again, ...sooner }));
  assert.equal(moved.executionId, first.executionId);
  assert.deepEqual(plain(await store.get(first.executionId)), plain(moved), "what is answered is what is stored");
  assert.deepEqual(
    [moved.state, moved.readyUs, moved.scheduledUs, moved.labels, moved.name, plain(moved.target), moved.changeNumber],
    ["SCHEDULED", sooner.readyUs, sooner.scheduledUs, { a: "1" }, "first", target, 2],
  );
  const ready = stored(await submit(setup, "k", again));
  assert.equal(ready.state, "READY");
  assert.deepEqual(
    (await store.waitingRoutes()).map((one) => one.routeId),
    [ready.routeId],
    "claims find it by its new route",
  );
  const back = stored(await submit(setup, "k", { ...again, ...later }));
  assert.equal(back.state, "SCHEDULED");
  assert.deepEqual(await store.waitingRoutes(), []);
  assert.equal(await counted(setup), 1);
});

onEveryStore("rule 5: what is ready keeps its place when it is replaced by what is ready", async (setup) => {
  const nowUs = await setup.nowUs();
  const first = stored(await submit(setup, "k", { readyUs: nowUs - 5_000_000 }));
  const moved = stored(await submit(setup, "k", { readyUs: nowUs - 1, policyOfKey: "REPLACE_WAITING" }));
  assert.deepEqual([moved.state, moved.readyUs], ["READY", first.readyUs]);
});

onEveryStore("rule 5: REPLACE_WAITING leaves alone what runs, and what waits for a retry", async (setup) => {
  const { store } = setup;
  const placement = await addExecutor(setup);
  const retry = { ...defaultPolicy.retry, maxAttempts: 2, initialIntervalMs: 60_000 };
  const first = stored(await submit(setup, "k", { policy: { ...defaultPolicy, retry } }));
  const [running] = await store.claim({ routeId, slots: slots(placement, 1) });
  assert.ok(running !== undefined);
  const existing = { kind: "existing", executionId: first.executionId };
  const policyOfKey = "REPLACE_WAITING";
  const before = await store.get(first.executionId);
  assert.deepEqual(await submit(setup, "k", { policyOfKey }), existing);
  assert.deepEqual(await store.get(first.executionId), before);
  await store.storeResults([resultOf(running, failed())], null);
  assert.equal((await store.get(first.executionId))?.state, "SCHEDULED");
  assert.deepEqual(await submit(setup, "k", { policyOfKey }), existing);
});

onEveryStore("rules 5 and 7: what is replaced gives back the gates that it held or waited at", async (setup) => {
  const { store } = setup;
  const nowUs = await setup.nowUs();
  const gated = { gateKeys: ["job:1"], overlap: "QUEUE_ALL" } as const;
  const later = { readyUs: nowUs + 3_600_000_000, policyOfKey: "REPLACE_WAITING", ...gated } as const;
  const holds = stored(await submit(setup, "holds", gated));
  const waits = stored(await submit(setup, "waits", gated));
  assert.deepEqual([holds.blockedKey, waits.blockedKey], [null, "job:1"]);
  const gate = async () => (await setup.rows("SELECT held, waiting FROM gates WHERE gate_key = 'job:1'"))[0];
  assert.equal(stored(await submit(setup, "waits", later)).blockedKey, null);
  assert.deepEqual({ ...(await gate()) }, { held: 1, waiting: 0 });
  stored(await submit(setup, "holds", later));
  assert.deepEqual({ ...(await gate()) }, { held: 0, waiting: 0 });
  assert.equal(stored(await submit(setup, "waits", { ...later, readyUs: nowUs })).state, "READY");
  assert.deepEqual({ ...(await gate()) }, { held: 1, waiting: 0 });
  await setup.sql((session) => checkInvariants(session, new Map()));
  const [claimed] = await store.claim({ routeId, slots: slots(await addExecutor(setup), 1) });
  assert.equal(claimed?.executionId, waits.executionId);
});

onEveryStore("rule 5: one key twice in a group is one execution", async (setup) => {
  const unique = { key: "k", policy: "RETURN_EXISTING" } as const;
  const outcomes = await setup.store.submit([1, 2, 3].map(() => submission(newExecution(), { unique })));
  assert.deepEqual(
    outcomes.map(({ kind }) => kind),
    ["stored", "existing", "existing"],
  );
});

onEveryStore("rule 5: a key that is refused does not keep the others of its group from being stored", async (setup) => {
  await submit(setup, "taken");
  const outcomes = await setup.store.submit([
    submission(newExecution(), { unique: { key: "taken", policy: "REJECT" } }),
    submission(newExecution(), { unique: { key: "free", policy: "REJECT" } }),
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
      const first = stored(await submit(setup, key));
      assert.ok(isLost);
      assert.deepEqual(await submit(setup, key), { kind: "existing", executionId: first.executionId });
    }
  },
);

onMysql("rule 5: of many that submit one key at once one makes it, and all hear of that one", async (setup) => {
  for (let round = 0; round < 10; round++) {
    const outcomes = await Promise.all(
      Array.from({ length: 8 }, (_, own) =>
        submit(setup, `race ${round}`, own % 2 === 0 ? { gateKeys: ["job:1"] } : {}),
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

onMysql(
  "rule 5: a key that its carrier gives up while another asks for it is taken or answered, never lost",
  async (setup) => {
    const { store } = setup;
    for (let round = 0; round < 20; round++) {
      const first = stored(await submit(setup, "k"));
      const [, outcome] = await Promise.all([
        store.requestStop(first.executionId, "CANCEL", ""),
        submit(setup, "k", { policyOfKey: "REPLACE_WAITING" }),
      ]);
      if (outcome.kind === "stored" && outcome.execution.executionId !== first.executionId) {
        await store.requestStop(outcome.execution.executionId, "CANCEL", "");
      }
      assert.equal((await store.get(first.executionId))?.state, "CANCELLED", "what is cancelled stays so");
    }
  },
);
