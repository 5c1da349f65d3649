/** Rule 5: request_ids are forgotten after their time. */
import assert from "node:assert/strict";
import { newExecution, onEveryStore, submission } from "../support/execution-store.ts";

const request = { namespace: "default", method: "submit", requestId: "old", bodyHash: "a".repeat(64) } as const;

onEveryStore("rule 5: a request_id is forgotten when its 24 hours are over, and no sooner", async (setup) => {
  const { store, rows, sql } = setup;
  const [old, young] = [newExecution(), newExecution()];
  await store.submit([
    submission(old, { request }),
    submission(young, { request: { ...request, requestId: "young" } }),
  ]);
  await sql((session) => session.execute("UPDATE requests SET expire_us = 1 WHERE result_id = ?", [old.executionId]));
  assert.equal(await store.pruneRequests(10), 1);
  assert.deepEqual(
    (await rows("SELECT result_id FROM requests")).map((row) => row.result_id),
    [young.executionId],
  );
  assert.equal(await store.pruneRequests(10), 0);
});

onEveryStore("rule 5: expired request_ids are forgotten in bounded batches", async ({ store, sql }) => {
  await store.submit(
    Array.from({ length: 7 }, (_, number) =>
      submission(newExecution(), { request: { ...request, requestId: `r${number}` } }),
    ),
  );
  await sql((session) => session.execute("UPDATE requests SET expire_us = 1"));
  assert.deepEqual(
    [await store.pruneRequests(5), await store.pruneRequests(5), await store.pruneRequests(5)],
    [5, 2, 0],
  );
});

onEveryStore("rule 5: what a request made is found by it until its time is over", async ({ store, sql }) => {
  const made = newExecution();
  await store.submit([submission(made, { request })]);
  assert.deepEqual(await store.repeatOf(request), { kind: "repeated", executionId: made.executionId });
  assert.deepEqual(await store.repeatOf({ ...request, bodyHash: "b".repeat(64) }), { kind: "request_reused" });
  assert.equal(await store.repeatOf({ ...request, requestId: "old " }), null);
  assert.deepEqual(await store.repeatAnywhere({ ...request, namespace: "" }), {
    kind: "repeated",
    executionId: made.executionId,
  });
  assert.equal(await store.repeatAnywhere({ ...request, namespace: "", bodyHash: "b".repeat(64) }), null);
  await sql((session) => session.execute("UPDATE requests SET expire_us = 1"));
  assert.equal(await store.repeatOf(request), null);
});
