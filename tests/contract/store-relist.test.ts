/** What an older version stores, ends or deletes beside this one is found by lists again after a walk. */
import assert from "node:assert/strict";
import { SqlRetentionStore } from "../../services/common/adapter/sql/retention.ts";
import type { ExecutionId } from "../../services/common/domain/identifier.ts";
import { newExecution, onEveryStore, type StoreSetup, submitAll } from "../support/execution-store.ts";
import { checkInvariants } from "../support/store-invariants.ts";

const EVERYTHING = `SELECT execution_id, CAST(label AS CHAR) AS found FROM execution_labels
  UNION ALL SELECT execution_id, CAST(state AS CHAR) AS found FROM unsuccessful_ends ORDER BY execution_id, found`;

async function relistAll({ database }: StoreSetup): Promise<number> {
  const retention = new SqlRetentionStore(database);
  let parts = 1;
  for (let place = await retention.relist(null); place !== null; parts++) place = await retention.relist(place);
  return parts;
}

async function endSome(setup: StoreSetup, ids: readonly ExecutionId[]): Promise<void> {
  for (const id of ids.filter((_, index) => index % 100 === 0)) await setup.store.requestStop(id, "CANCEL", "");
}

onEveryStore("a walk in parts of 250 writes what is missing, and changes nothing of what is right", async (setup) => {
  const executions = Array.from({ length: 600 }, (_, index) =>
    newExecution({
      labels: index % 3 === 0 ? { team: "blue" } : {},
      cause: index === 1 ? "RETRY_EXECUTION" : "SUBMIT",
    }),
  );
  await submitAll(setup, executions.slice(0, 300));
  await submitAll(setup, executions.slice(300));
  await endSome(
    setup,
    executions.map(({ executionId }) => executionId),
  );
  const right = await setup.rows(EVERYTHING);
  assert.equal(right.length, 200 + 1 + 6);
  assert.equal(await relistAll(setup), 3);
  assert.deepEqual(await setup.rows(EVERYTHING), right);
  await setup.sql(async (session) => {
    await session.execute("DELETE FROM execution_labels");
    await session.execute("DELETE FROM unsuccessful_ends");
  });
  assert.equal(await relistAll(setup), 3);
  assert.deepEqual(await setup.rows(EVERYTHING), right);
  await setup.sql((session) => checkInvariants(session, new Map()));
});

onEveryStore("a walk deletes what stands for executions that are gone", async (setup) => {
  const executions = Array.from({ length: 300 }, () => newExecution({ labels: { team: "blue" } }));
  await submitAll(setup, executions);
  const ids = executions.map(({ executionId }) => executionId);
  await endSome(setup, ids);
  await setup.sql((session) => session.execute("DELETE FROM executions WHERE state > 5"));
  await setup.sql((session) =>
    session.execute("DELETE FROM executions WHERE execution_id > ?", [[...ids].sort()[260] ?? ""]),
  );
  await relistAll(setup);
  assert.deepEqual(await setup.rows("SELECT state FROM unsuccessful_ends"), []);
  const [left] = await setup.rows(
    "SELECT COUNT(*) AS found FROM execution_labels WHERE execution_id NOT IN (SELECT execution_id FROM executions)",
  );
  assert.equal(Number(left?.found), 0);
});

onEveryStore("more than 2,000 that are gone are forgotten in more than one part", async (setup) => {
  const gone = Array.from({ length: 2_001 }, () => newExecution({ labels: { team: "blue" } }));
  for (let from = 0; from < gone.length; from += 500) await submitAll(setup, gone.slice(from, from + 500));
  await setup.sql((session) => session.execute("DELETE FROM executions"));
  assert.equal(await relistAll(setup), 2);
  assert.deepEqual(await setup.rows(EVERYTHING), []);
});

onEveryStore("a walk over nothing ends at once", async (setup) => {
  assert.equal(await relistAll(setup), 1);
});
