/** Texts of calls that have no message of their own: taken at their bound, refused beyond by name. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ReadLogsRequest } from "../../../gen/jobmesh/v1/execution_service.ts";
import { ListExecutorsRequest } from "../../../gen/jobmesh/v1/mesh_service.ts";
import { MAX_TAIL_LINES } from "../../../services/scheduler/api/log-request.ts";
import { faultsOf, testApi } from "./setup.ts";

test("the reason of a cancel and of a pause has 1,000 characters at most", async (t) => {
  const api = await testApi(t);
  const { executionId } = await api.submit();
  await api.createJob({ jobId: "j" });
  const cancel = (length: number) => api.executions.cancelExecution({ executionId, reason: "r".repeat(length) });
  const pause = (length: number) => api.jobs.pauseJob({ namespace: "", jobId: "j", reason: "r".repeat(length) });
  for (const call of [cancel, pause]) {
    assert.deepEqual(await faultsOf(call(1_001)), { reason: "must be at most 1000 characters; was 1001" });
    await call(1_000);
  }
  assert.equal((await api.get(executionId)).stateMessage.length, 1_000);
});

test("a capability that is asked for has 255 characters at most", async (t) => {
  const api = await testApi(t);
  const list = (length: number) =>
    api.mesh.listExecutors(ListExecutorsRequest.fromPartial({ capability: "c".repeat(length) }));
  assert.deepEqual(await faultsOf(list(256)), { capability: "must be at most 255 characters; was 256" });
  assert.deepEqual((await list(255)).executors, []);
});

test("a tail has 100,000 lines at most", async (t) => {
  const api = await testApi(t);
  const { executionId } = await api.submit();
  const read = async (lines: number) => {
    const request = ReadLogsRequest.fromPartial({ executionId, tailLines: BigInt(lines) });
    for await (const _piece of api.executions.readLogs(request)) assert.fail("nothing was written");
  };
  assert.deepEqual(Object.keys(await faultsOf(read(MAX_TAIL_LINES + 1))), ["tail_lines"]);
  await read(MAX_TAIL_LINES);
});
