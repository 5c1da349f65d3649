import assert from "node:assert/strict";
import { test } from "node:test";
import { ExecutionState, UniquePolicy } from "../../../gen/jobmesh/v1/execution.ts";
import { command } from "../../../services/client/targets.ts";
import { errorOf, faultsOf, testApi } from "./setup.ts";

const { UNIQUE_POLICY_REJECT: REJECT, UNIQUE_POLICY_REPLACE_WAITING: REPLACE } = UniquePolicy;

test("rule 5: a submission whose unique_key is taken is answered with the execution that has it, whole", async (t) => {
  const api = await testApi(t);
  const first = await api.submit({ uniqueKey: "order 7", name: "first" });
  assert.deepEqual(await api.submit({ uniqueKey: "order 7", name: "second" }), first);
  assert.equal(await api.storedCount(), 1);
  await api.executions.cancelExecution({ executionId: first.executionId, reason: "" });
  assert.equal((await api.submit({ uniqueKey: "order 7", name: "second" })).name, "second");
});

test("rule 5: under REJECT it is ALREADY_EXISTS, and the error names the execution", async (t) => {
  const api = await testApi(t);
  const { executionId } = await api.submit({ uniqueKey: "k" });
  const error = await errorOf(api.submit({ uniqueKey: "k", uniquePolicy: REJECT }));
  assert.deepEqual([error.code, error.reason, error.retryable], ["ALREADY_EXISTS", "UNIQUE_KEY_TAKEN", false]);
  assert.equal(error.metadata.executionId, executionId);
});

test("rule 5: REPLACE_WAITING moves what waits, and answers it as it stands", async (t) => {
  const api = await testApi(t);
  const later = { seconds: BigInt(Math.floor(api.nowUs() / 1e6) + 60), nanos: 0 };
  const first = await api.submit({ uniqueKey: "k", scheduledTime: later });
  assert.equal(first.state, ExecutionState.EXECUTION_STATE_SCHEDULED);
  const moved = await api.submit({ uniqueKey: "k", uniquePolicy: REPLACE, target: command("echo new") });
  assert.deepEqual([moved.executionId, moved.state], [first.executionId, ExecutionState.EXECUTION_STATE_READY]);
  assert.deepEqual((await api.get(first.executionId)).target, moved.target);
  const executor = await api.join("one", 1);
  await api.dispatcher.runOnce(new AbortController().signal);
  assert.deepEqual(
    executor.orders.map(({ key, target }) => [key.executionId, target.summary]),
    [[first.executionId, "echo new"]],
    "what runs is the new target",
  );
});

test("RunJob takes a unique_key, too, of the same kind as submissions", async (t) => {
  const api = await testApi(t);
  await api.createJob({ jobId: "j" });
  const first = await api.runJob({ jobId: "j", uniqueKey: "k" });
  assert.equal((await api.runJob({ jobId: "j", uniqueKey: "k" })).executionId, first.executionId);
  assert.equal((await api.submit({ uniqueKey: "k" })).executionId, first.executionId);
  assert.equal(
    (await errorOf(api.runJob({ jobId: "j", uniqueKey: "k", uniquePolicy: REJECT }))).reason,
    "UNIQUE_KEY_TAKEN",
  );
});

test("a unique_key of 128 characters is taken; a longer one, NUL, and a policy without a key are refused by field", async (t) => {
  const api = await testApi(t);
  await api.submit({ uniqueKey: "é".repeat(128) });
  assert.deepEqual(Object.keys(await faultsOf(api.submit({ uniqueKey: "k".repeat(129) }))), ["unique_key"]);
  assert.deepEqual(Object.keys(await faultsOf(api.submit({ uniqueKey: "a\0" }))), ["unique_key"]);
  assert.deepEqual(Object.keys(await faultsOf(api.submit({ uniquePolicy: REJECT }))), ["unique_policy"]);
  assert.deepEqual(Object.keys(await faultsOf(api.submit({ uniqueKey: "k", uniquePolicy: 9 as UniquePolicy }))), [
    "unique_policy",
  ]);
  assert.equal(await api.storedCount(), 1);
});
