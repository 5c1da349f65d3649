/** Rule 5: a submission that replaces what waits under its unique_key. */
import assert from "node:assert/strict";
import { CommitUnknown } from "../../services/common/adapter/sql/store-fault.ts";
import { defaultPolicy } from "../../services/common/domain/policy.ts";
import {
  addExecutor,
  failed,
  jobUid,
  onEveryStore,
  onMysql,
  plain,
  resultOf,
  routeId,
  slots,
} from "../support/execution-store.ts";
import { checkInvariants } from "../support/store-invariants.ts";
import { countStored, storedOf, submitUnique } from "../support/unique-submission.ts";

onEveryStore("rule 5: REPLACE_WAITING gives what waits the new target and time, and nothing else", async (setup) => {
  const { store } = setup;
  const nowUs = await setup.nowUs();
  const later = { readyUs: nowUs + 3_600_000_000, scheduledUs: nowUs + 3_600_000_000 };
  const first = storedOf(
    await submitUnique(setup, "k", { ...later, labels: { a: "1" }, parameters: { p: "old", q: "1" }, name: "first" }),
  );
  assert.deepEqual((await store.get(first.executionId))?.parameters, { p: "old", q: "1" });
  assert.equal(first.state, "SCHEDULED");
  const target = { kind: "handler", method: "a.B/C", summary: "a.B/C", bytes: Uint8Array.of(9) } as const;
  const parameters = { p: "new" };
  const again = { policyOfKey: "REPLACE_WAITING", target, labels: { b: "2" }, parameters, name: "second" } as const;
  const sooner = { readyUs: nowUs + 1_800_000_000, scheduledUs: nowUs + 1_800_000_000 };
  const moved = storedOf(await submitUnique(setup, "k", { ...again, ...sooner }));
  assert.equal(moved.executionId, first.executionId);
  assert.deepEqual(plain(await store.get(first.executionId)), plain(moved), "what is answered is what is stored");
  assert.deepEqual(
    [moved.state, moved.readyUs, moved.scheduledUs, moved.labels, moved.name, plain(moved.target), moved.changeNumber],
    ["SCHEDULED", sooner.readyUs, first.scheduledUs, { a: "1" }, "first", target, 2],
  );
  assert.deepEqual(moved.parameters, parameters, "the new target's templates are filled in by its own values");
  const ready = storedOf(await submitUnique(setup, "k", again));
  assert.equal(ready.state, "READY");
  assert.deepEqual(
    (await store.waitingRoutes()).map((one) => one.routeId),
    [ready.routeId],
    "claims find it by its new route",
  );
  const back = storedOf(await submitUnique(setup, "k", { ...again, ...later }));
  assert.equal(back.state, "SCHEDULED");
  assert.deepEqual(await store.waitingRoutes(), []);
  assert.equal(await countStored(setup), 1);
});

onEveryStore("rule 5: what is ready keeps its place when it is replaced by what is ready", async (setup) => {
  const nowUs = await setup.nowUs();
  const first = storedOf(await submitUnique(setup, "k", { readyUs: nowUs - 5_000_000 }));
  const moved = storedOf(await submitUnique(setup, "k", { readyUs: nowUs - 1, policyOfKey: "REPLACE_WAITING" }));
  assert.deepEqual([moved.state, moved.readyUs], ["READY", first.readyUs]);
});

onEveryStore("rule 5: REPLACE_WAITING leaves alone what runs, and what waits for a retry", async (setup) => {
  const { store } = setup;
  const placement = await addExecutor(setup);
  const retry = { ...defaultPolicy.retry, maxAttempts: 2, initialIntervalMs: 60_000 };
  const first = storedOf(await submitUnique(setup, "k", { policy: { ...defaultPolicy, retry } }));
  const [running] = await store.claim({ routeId, slots: slots(placement, 1) });
  assert.ok(running !== undefined);
  const existing = { kind: "existing", executionId: first.executionId };
  const policyOfKey = "REPLACE_WAITING";
  const before = await store.get(first.executionId);
  assert.deepEqual(await submitUnique(setup, "k", { policyOfKey }), existing);
  assert.deepEqual(await store.get(first.executionId), before);
  await store.storeResults([resultOf(running, failed())], null);
  assert.equal((await store.get(first.executionId))?.state, "SCHEDULED");
  assert.deepEqual(await submitUnique(setup, "k", { policyOfKey }), existing);
});

onEveryStore("rules 5 and 7: what is replaced gives back the gates that it held or waited at", async (setup) => {
  const { store } = setup;
  const nowUs = await setup.nowUs();
  const gated = { gateKeys: ["job:1"], overlap: "QUEUE_ALL" } as const;
  const later = { readyUs: nowUs + 3_600_000_000, policyOfKey: "REPLACE_WAITING", ...gated } as const;
  const holds = storedOf(await submitUnique(setup, "holds", gated));
  const waits = storedOf(await submitUnique(setup, "waits", gated));
  assert.deepEqual([holds.blockedKey, waits.blockedKey], [null, "job:1"]);
  const gate = async () => (await setup.rows("SELECT held, waiting FROM gates WHERE gate_key = 'job:1'"))[0];
  assert.equal(storedOf(await submitUnique(setup, "waits", later)).blockedKey, null);
  assert.deepEqual({ ...(await gate()) }, { held: 1, waiting: 0 });
  storedOf(await submitUnique(setup, "holds", later));
  assert.deepEqual({ ...(await gate()) }, { held: 0, waiting: 0 });
  assert.equal(storedOf(await submitUnique(setup, "waits", { ...later, readyUs: nowUs })).state, "READY");
  assert.deepEqual({ ...(await gate()) }, { held: 1, waiting: 0 });
  await setup.sql((session) => checkInvariants(session, new Map()));
  const [claimed] = await store.claim({ routeId, slots: slots(await addExecutor(setup), 1) });
  assert.equal(claimed?.executionId, waits.executionId);
});

onEveryStore(
  "rule 5: a replacement whose COMMIT was unheard and which has run since is not made once more",
  async (setup) => {
    const { store } = setup;
    const placement = await addExecutor(setup);
    const nowUs = await setup.nowUs();
    const first = storedOf(await submitUnique(setup, "k", { readyUs: nowUs + 3_600_000_000 }));
    const transact = setup.database.transact.bind(setup.database);
    let isLost = false;
    setup.database.transact = async (name, body) => {
      const answer = await transact(name, body);
      if (name !== "submit" || isLost) return answer;
      isLost = true;
      const [running] = await store.claim({ routeId, slots: slots(placement, 1) });
      assert.equal(running?.executionId, first.executionId);
      await store.storeResults([resultOf(running)], null);
      throw new CommitUnknown("the connection was lost in COMMIT");
    };
    const target = { kind: "command", method: "", summary: "new", bytes: Uint8Array.of(7) } as const;
    const answer = storedOf(await submitUnique(setup, "k", { policyOfKey: "REPLACE_WAITING", target }));
    assert.deepEqual([answer.executionId, answer.state], [first.executionId, "SUCCEEDED"]);
    assert.equal(await countStored(setup), 1);
  },
);

onEveryStore(
  "rules 5 and 7: what waits under other gates is in the way of a replacement, not replaced",
  async (setup) => {
    const first = storedOf(await submitUnique(setup, "k"));
    const taken = { kind: "key_taken", executionId: first.executionId };
    const policyOfKey = "REPLACE_WAITING";
    assert.deepEqual(await submitUnique(setup, "k", { policyOfKey, gateKeys: ["job:1"], overlap: "SKIP" }), taken);
    assert.deepEqual(await submitUnique(setup, "k", { policyOfKey, jobId: "j", jobUid: jobUid("j") }), taken);
    assert.deepEqual(plain((await setup.store.get(first.executionId))?.target), plain(first.target));
  },
);

onEveryStore("rules 5 and 24: a replacement that is ready now has its own start deadline", async (setup) => {
  const nowUs = await setup.nowUs();
  const policy = { ...defaultPolicy, startDeadlineMs: 10_000 };
  const first = storedOf(await submitUnique(setup, "k", { policy, readyUs: nowUs - 9_000_000 }));
  const moved = storedOf(
    await submitUnique(setup, "k", { policy, policyOfKey: "REPLACE_WAITING", readyUs: nowUs - 1 }),
  );
  assert.deepEqual([moved.readyUs, moved.startDeadlineUs], [first.readyUs, nowUs - 1 + 10_000_000]);
  assert.deepEqual(plain(await setup.store.get(first.executionId)), plain(moved));
});

onMysql(
  "rule 5: a key that its carrier gives up while another asks for it is taken or answered, never lost",
  async (setup) => {
    const { store } = setup;
    for (let round = 0; round < 20; round++) {
      const first = storedOf(await submitUnique(setup, "k"));
      const [, outcome] = await Promise.all([
        store.requestStop(first.executionId, "CANCEL", ""),
        submitUnique(setup, "k", { policyOfKey: "REPLACE_WAITING" }),
      ]);
      if (outcome.kind === "stored" && outcome.execution.executionId !== first.executionId) {
        await store.requestStop(outcome.execution.executionId, "CANCEL", "");
      }
      assert.equal((await store.get(first.executionId))?.state, "CANCELLED", "what is cancelled stays so");
    }
  },
);
