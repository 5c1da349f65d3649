/** Rule 5: what becomes of a group whose COMMIT was lost. */
import assert from "node:assert/strict";
import type { SqlDatabase } from "../../services/common/adapter/sql/session.ts";
import { CommitUnknown } from "../../services/common/adapter/sql/store-fault.ts";
import { StoreUnavailable } from "../../services/common/port/store.ts";
import type { RequestClaim } from "../../services/common/port/store-executions.ts";
import {
  addExecutor,
  dispatched,
  newExecution,
  onEveryStore,
  onMysql,
  resultOf,
  routeId,
  type StoreSetup,
  slot,
  slots,
  submission,
  submitAll,
} from "../support/execution-store.ts";
import { fire, hold, id, rig, uid } from "../support/held-store.ts";

const request: RequestClaim = { namespace: "default", method: "submit", requestId: "r1", bodyHash: "a".repeat(64) };

/** Loses COMMITs of one kind of transaction, before or after they took effect; answers how many were lost. */
async function losingCommits(
  { database }: StoreSetup,
  kind: string,
  when: "before" | "after" | "undone",
  count: number,
  body: () => Promise<void>,
): Promise<number> {
  const real = { transact: database.transact.bind(database), transactOne: database.transactOne.bind(database) };
  let lost = 0;
  const losing =
    (transact: SqlDatabase["transact"]): SqlDatabase["transact"] =>
    async (name, work) => {
      if (name !== kind || lost >= count) return await transact(name, work);
      lost++;
      if (when === "after") await transact(name, work);
      if (when === "undone") {
        const undo = new Error("undone");
        const undone = transact(name, async (session) => {
          await work(session);
          throw undo;
        });
        await assert.rejects(undone, undo);
      }
      throw new CommitUnknown("the connection was lost in COMMIT");
    };
  database.transact = losing(real.transact);
  database.transactOne = losing(real.transactOne);
  try {
    await body();
  } finally {
    Object.assign(database, real);
  }
  return lost;
}

onEveryStore("rule 5: a group whose lost COMMIT stood is read back and answered", async (setup) => {
  const executions = Array.from({ length: 3 }, () => newExecution());
  const lost = await losingCommits(setup, "submit", "after", 1, async () => {
    const stored = await submitAll(setup, executions);
    assert.deepEqual(
      stored.map(({ executionId }) => executionId),
      executions.map(({ executionId }) => executionId),
    );
  });
  assert.equal(lost, 1);
  assert.equal((await setup.rows("SELECT execution_id FROM executions")).length, 3);
});

onEveryStore("rule 5: of a group whose lost COMMIT stood, repeats are answered as repeats", async (setup) => {
  const first = newExecution();
  await setup.store.submit([submission(first, { request })]);
  await losingCommits(setup, "submit", "after", 1, async () => {
    const outcomes = await setup.store.submit([submission(newExecution(), { request }), submission(newExecution())]);
    assert.deepEqual(outcomes[0], { kind: "repeated", executionId: first.executionId });
    assert.equal(outcomes[1]?.kind, "stored");
  });
  assert.equal((await setup.rows("SELECT execution_id FROM executions")).length, 2);
});

onEveryStore("rule 5: a group whose lost COMMIT did not stand is stored again", async (setup) => {
  const execution = newExecution();
  const lost = await losingCommits(setup, "submit", "before", 2, async () => {
    const [outcome] = await setup.store.submit([submission(execution, { request })]);
    assert.equal(outcome?.kind, "stored");
  });
  assert.equal(lost, 2);
  assert.equal((await setup.store.get(execution.executionId))?.state, "READY");
});

onEveryStore("rule 5: when the outcome cannot be found out, the store is away", async (setup) => {
  await losingCommits(setup, "submit", "before", 99, async () => {
    await assert.rejects(setup.store.submit([submission(newExecution())]), StoreUnavailable);
  });
});

onEveryStore("rule 5: a group whose COMMIT is lost three times is stored; a fourth time is told", async (setup) => {
  const lost = await losingCommits(setup, "submit", "before", 3, async () => {
    assert.equal((await setup.store.submit([submission(newExecution())]))[0]?.kind, "stored");
  });
  assert.equal(lost, 3);
  const given = await losingCommits(setup, "submit", "before", 99, async () => {
    await assert.rejects(setup.store.submit([submission(newExecution())]), CommitUnknown);
  });
  assert.equal(given, 4);
});

onEveryStore("rule 5: claims whose lost COMMIT stood are read back under their fences", async (setup) => {
  const placement = await addExecutor(setup);
  await submitAll(setup, [newExecution(), newExecution()]);
  await losingCommits(setup, "claim", "after", 1, async () => {
    const wanted = slots(placement, 2);
    const claimed = await setup.store.claim({ routeId, slots: wanted });
    assert.deepEqual(
      claimed.map(({ fence }) => fence),
      wanted.map(({ fence }) => fence),
    );
  });
});

onEveryStore(
  "rules 5, 11: a fire ahead whose lost COMMIT stood is read back under its fence, and sent in time",
  async (setup) => {
    const on = await rig(setup);
    const given = slot(on.executor);
    assert.equal(
      await losingCommits(setup, "fire", "after", 1, async () => {
        const outcome = await on.jobs.fire(fire(given));
        assert.ok(outcome.kind === "fired");
        assert.deepEqual([outcome.dispatched?.executionId, outcome.dispatched?.fence], [id, given.fence]);
      }),
      1,
    );
    assert.equal((await on.jobs.getByUid(uid))?.fireCount, 1);
  },
);

onEveryStore(
  "rules 5, 11: a fire ahead whose COMMIT is lost three times is stored; a fourth time is told",
  async (setup) => {
    const on = await rig(setup);
    await losingCommits(setup, "fire", "undone", 4, async () => {
      await assert.rejects(on.jobs.fire(fire(slot(on.executor))), CommitUnknown);
    });
    assert.equal(await on.store.get(id), null);
    await losingCommits(setup, "fire", "undone", 3, async () => {
      assert.equal((await hold(on)).executionId, id);
    });
    assert.equal((await on.jobs.getByUid(uid))?.fireCount, 1);
  },
);

onEveryStore("rule 3: a batch whose lost COMMIT stood meets its own offset when it comes again", async (setup) => {
  const { store } = setup;
  await setup.sql((session) =>
    session.execute(
      "INSERT INTO result_offsets (part, generation, next_offset, last_key, stored_us) VALUES (0, 0, 5, '', 0)",
    ),
  );
  const running = await dispatched(setup, await addExecutor(setup));
  const offsets = { partition: 0, generation: 0, firstOffset: 5, nextOffset: 6, lastKey: "" };
  await losingCommits(setup, "results", "after", 1, async () => {
    await assert.rejects(store.storeResults([resultOf(running)], offsets), StoreUnavailable);
    assert.deepEqual(await store.storeResults([resultOf(running)], offsets), { kind: "offset_conflict" });
  });
  assert.equal((await store.get(running.executionId))?.state, "SUCCEEDED");
});

onMysql("rule 5: reading back waits for a commit that is still on its way", async (setup) => {
  const { database } = setup;
  const transact = database.transact.bind(database);
  const committing = Promise.withResolvers<void>();
  let late: Promise<unknown> = Promise.resolve();
  setup.onStatement((name, sql) => {
    // It commits when the read-back waits for it, or has not waited.
    if (name === "submit_read_back" && sql.startsWith("SELECT")) void lockWait(setup).then(committing.resolve);
    if (name === "submit_read_back" && sql === "COMMIT") committing.resolve();
  });
  database.transact = async (name, work) => {
    if (name !== "submit") return await transact(name, work);
    const worked = Promise.withResolvers<void>();
    late = transact("late", async (session) => {
      await work(session);
      worked.resolve();
      await committing.promise;
    });
    await worked.promise;
    throw new CommitUnknown("the connection was lost in COMMIT");
  };
  try {
    const [outcome] = await setup.store.submit([submission(newExecution())]);
    assert.equal(outcome?.kind, "stored");
  } finally {
    database.transact = transact;
    await late;
  }
});

/** Resolves when a transaction waits for a lock. */
async function lockWait(setup: StoreSetup): Promise<void> {
  const sql = "SELECT trx_id FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'";
  for (let tries = 0; tries < 1_000; tries++) if ((await setup.rows(sql)).length > 0) return;
}
