/** The filter by reasons where a reason is not stored but is that of a route: lists and counts. */
import assert from "node:assert/strict";
import { routeIdOf } from "../../services/common/domain/route.ts";
import type { ExecutionFilter } from "../../services/common/port/store-executions.ts";
import { everyExecution } from "../support/execution-filter.ts";
import { newExecution, onEveryStore, submitAll } from "../support/execution-store.ts";

const [red, green] = [routeIdOf("red"), routeIdOf("green")];

onEveryStore("what waits on a route has the reason of its route, and everything else its own", async (setup) => {
  const { store } = setup;
  const nowUs = await setup.nowUs();
  const gateKeys = ["job:55555555-5555-4555-8555-555555555555"];
  await submitAll(setup, [
    newExecution({ name: "red", routeId: red }),
    newExecution({ name: "green", routeId: green }),
    newExecution({ name: "later", routeId: red, readyUs: nowUs + 3_600_000_000 }),
    newExecution({ name: "held", routeId: red, gateKeys, overlap: "QUEUE_ALL" }),
    newExecution({ name: "behind", routeId: red, gateKeys, overlap: "QUEUE_ALL" }),
  ]);
  const stopped = newExecution({ name: "stopped", routeId: red });
  await submitAll(setup, [stopped]);
  await store.requestStop(stopped.executionId, "CANCEL", "");
  const names = async (filter: Partial<ExecutionFilter>): Promise<string[]> => {
    const whole = { ...everyExecution, ...filter };
    const { items } = await store.list(whole, 100, null, false);
    const counts = await store.count(whole);
    assert.equal(
      counts.reduce((sum, { count }) => sum + count, 0),
      items.length,
    );
    return items.map(({ name }) => name).sort();
  };
  const waiting = { matching: [red], other: [green] };
  assert.deepEqual(await names({ reasons: ["NO_FREE_SLOT"], waiting }), ["held", "red"]);
  assert.deepEqual(await names({ reasons: ["NO_FREE_SLOT", "CANCEL_REQUESTED"], waiting }), ["held", "red", "stopped"]);
  assert.deepEqual(await names({ reasons: ["UNSPECIFIED"], waiting }), ["held", "later", "red"]);
  assert.deepEqual(await names({ reasons: ["UNSPECIFIED"], waiting: { matching: [green], other: [red] } }), [
    "green",
    "later",
  ]);
  assert.deepEqual(await names({ reasons: ["OVERLAP", "CONCURRENCY_LIMIT", "BEHIND_EARLIER"] }), ["behind"]);
  assert.deepEqual(await names({ reasons: ["NO_FREE_SLOT"], waiting: { matching: [], other: [red, green] } }), []);
  assert.deepEqual(await names({ reasons: ["NO_FREE_SLOT"] }), []);
  assert.equal((await names({ waiting })).length, 6, "without reasons nothing is left out");
});

onEveryStore("five thousand routes fit one filter", async (setup) => {
  await submitAll(setup, [newExecution({ name: "red", routeId: red })]);
  const routes = [red, ...Array.from({ length: 4_999 }, (_, at) => routeIdOf(`route ${at}`))];
  const filter = { ...everyExecution, waiting: { matching: routes, other: routes } };
  const list = async (reason: "NO_FREE_SLOT" | "UNSPECIFIED") =>
    (await setup.store.list({ ...filter, reasons: [reason] }, 10, null, false)).items.map(({ name }) => name);
  assert.deepEqual([await list("NO_FREE_SLOT"), await list("UNSPECIFIED")], [["red"], []]);
});
