import assert from "node:assert/strict";
import { test } from "node:test";
import type { ExecutionId } from "../../../services/common/domain/identifier.ts";
import { movedListeners } from "../../../services/scheduler/feed/moved-listeners.ts";
import { heardStore } from "../../../services/scheduler/heard-store.ts";
import { Hints } from "../../../services/scheduler/hints.ts";
import { newExecution, submission } from "../../support/execution-store.ts";
import { testReading } from "./setup.ts";

test("a store tells of what came to another state by its calls, and of nothing else", async (t) => {
  const { store: given, clock } = await testReading(t);
  const hints = new Hints();
  const told: ExecutionId[] = [];
  hints.on("moved", ({ executionIds }) => told.push(...executionIds));
  const heard: number[] = [];
  const counting = {
    executions: { submit: (outcomes: readonly unknown[]) => heard.push(told.length, outcomes.length) },
  };
  const store = heardStore(given, [counting, movedListeners(hints)], null);
  assert.ok((await store.nowUs()) > 0, "all else is the store's own");
  assert.equal(store.kind, "sqlite");
  const dueUs = clock.wallUs();
  const [ready, later] = [
    newExecution({ scheduledUs: dueUs, readyUs: dueUs }),
    newExecution({ scheduledUs: dueUs, readyUs: dueUs + 1_000 }),
  ];
  await store.executions.submit([submission(ready), submission(later)]);
  assert.deepEqual(told, [ready.executionId, later.executionId]);
  assert.deepEqual(heard, [0, 2], "each of those that listen, in their order");
  await clock.advance(1);
  await store.executions.makeReady([later.executionId]);
  assert.deepEqual(told.slice(2), [later.executionId]);
  await store.executions.requestStop(ready.executionId, "CANCEL", "");
  assert.equal(told.length, 3, "an end is told by its own hint");
});
