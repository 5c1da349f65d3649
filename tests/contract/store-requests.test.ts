/** Rule 5: request_ids are forgotten after their time. */
import assert from "node:assert/strict";
import { insertRows } from "../../services/common/adapter/sql/many-rows.ts";
import { MAX_SEARCHED_NAMESPACES } from "../../services/common/adapter/sql/requests.ts";
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

onEveryStore("rule 5: a request of an unknown namespace is looked for in 1,000 of them", async ({ store, sql }) => {
  const made = newExecution({ namespace: "z" });
  await store.submit([submission(made, { request: { ...request, namespace: "z" } })]);
  const other = Buffer.from("other");
  const insert = (count: number, from: number) =>
    sql((session) =>
      insertRows(
        session,
        "requests",
        ["namespace", "method", "request_id", "body_hash", "result_id", "expire_us"],
        Array.from({ length: count }, (_, at) => [
          `a${from + at}`,
          "submit",
          other,
          request.bodyHash,
          made.executionId,
          1,
        ]),
      ),
    );
  await insert(MAX_SEARCHED_NAMESPACES - 1, 0);
  const found = { kind: "repeated", executionId: made.executionId };
  assert.deepEqual(await store.repeatAnywhere({ ...request, namespace: "" }), found);
  await insert(1, MAX_SEARCHED_NAMESPACES - 1);
  assert.equal(await store.repeatAnywhere({ ...request, namespace: "" }), null);
});
