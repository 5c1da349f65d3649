import assert from "node:assert/strict";
import { test } from "node:test";
import type { DeepPartial } from "../../../gen/jobmesh/v1/execution_service.ts";
import { DrainExecutorRequest, ExecutorState, ListExecutorsRequest } from "../../../gen/jobmesh/v1/mesh_service.ts";
import { command } from "../../../services/client/targets.ts";
import { duration, errorOf, faultsOf, REPORT, registerReport, reportSet, type TestApi, testApi } from "./setup.ts";

const {
  EXECUTOR_STATE_ACTIVE: ACTIVE,
  EXECUTOR_STATE_DRAINING: DRAINING,
  EXECUTOR_STATE_SUSPECT: SUSPECT,
} = ExecutorState;

function listExecutors(api: TestApi, request: DeepPartial<ListExecutorsRequest> = {}) {
  return api.mesh.listExecutors(ListExecutorsRequest.fromPartial(request));
}

async function idsOf(api: TestApi, request: DeepPartial<ListExecutorsRequest> = {}): Promise<readonly string[]> {
  return (await listExecutors(api, request)).executors.map(({ executorId }) => executorId);
}

test("executors are listed as they said of themselves, in order of registration", async (t) => {
  const api = await testApi(t);
  await registerReport(api);
  const handler = { kind: "handler", method: REPORT, descriptorHash: "0".repeat(64), slots: 0 } as const;
  await api.join("z", 3, {
    labels: { zone: "a" },
    version: "1.2.3",
    namespaces: ["n"],
    capabilities: [{ kind: "command" }, handler],
  });
  const seconds = api.nowUs() / 1e6;
  await api.clock.advance(1_000);
  await api.join("a", 4);
  await api.beats.runOnce();
  const { executors, nextPageToken } = await listExecutors(api);
  assert.deepEqual([executors.map(({ executorId }) => executorId), nextPageToken], [["z", "a"], ""]);
  assert.deepEqual(executors[0], {
    executorId: "z",
    state: ACTIVE,
    homeSchedulerId: "scheduler-1",
    version: "1.2.3",
    labels: { zone: "a" },
    capabilities: ["command", REPORT],
    slots: 4,
    runningCount: 1,
    registrationTime: { seconds: BigInt(seconds), nanos: 0 },
    lastHeartbeatTime: executors[0]?.lastHeartbeatTime,
    cpuLoad: 0.5,
    memoryBytes: 1_000n,
    namespaces: ["n"],
    clockOffset: undefined,
  });
});

test("executors are selected by label, namespace, state and capability", async (t) => {
  const api = await testApi(t);
  await api.join("all", 4, { labels: { zone: "a", gpu: "1" } });
  const leaving = await api.join("one", 4, { labels: { zone: "b" }, namespaces: ["n"] });
  leaving.say({ kind: "leaving", reason: "restart" });
  await api.clock.settle();
  await api.beats.runOnce();
  assert.deepEqual(await idsOf(api, { labels: { zone: "a", gpu: "1" } }), ["all"]);
  assert.deepEqual(await idsOf(api, { labels: { zone: "a", gpu: "2" } }), []);
  assert.deepEqual(await idsOf(api, { namespace: "n" }), ["all", "one"], "one without namespaces serves all");
  assert.deepEqual(await idsOf(api, { namespace: "m" }), ["all"]);
  assert.deepEqual(await idsOf(api, { capability: "command" }), ["all", "one"]);
  assert.deepEqual(await idsOf(api, { capability: REPORT }), []);
  assert.deepEqual(await idsOf(api, { states: [ACTIVE, DRAINING] }), ["all", "one"]);
  assert.deepEqual(await idsOf(api, { states: [DRAINING] }), ["one"]);
  assert.deepEqual(await idsOf(api, { states: [SUSPECT] }), []);
  await api.clock.advance(3_100);
  assert.ok((await idsOf(api, { states: [SUSPECT] })).includes("all"), "silent for more than 3 s");
  const bad = {
    labels: { "": "" },
    namespace: "a b",
    states: [ExecutorState.EXECUTOR_STATE_UNSPECIFIED, 9 as ExecutorState],
    capability: "c".repeat(256),
  };
  const fields = ["capability", 'labels[""]', "namespace", "states[0]", "states[1]"];
  assert.deepEqual(Object.keys(await faultsOf(listExecutors(api, bad))).sort(), fields);
});

test("DrainExecutor notes that an executor leaves, shows it, and asks again for nothing new", async (t) => {
  const api = await testApi(t);
  const executor = await api.join("one", 4);
  api.start();
  const drain = (request: DeepPartial<DrainExecutorRequest>) =>
    api.mesh.drainExecutor(DrainExecutorRequest.fromPartial(request));
  const answer = await drain({ executorId: "one" });
  assert.deepEqual([answer.executor?.executorId, answer.executor?.state], ["one", DRAINING]);
  await api.clock.settle();
  assert.deepEqual(executor.of("drain"), [{ kind: "drain", graceMs: 3_600_000 }], "an hour when unset");
  await drain({ executorId: "one", grace: duration(0) });
  await api.clock.settle();
  assert.deepEqual(executor.of("drain")[1], { kind: "drain", graceMs: 0 });
  assert.deepEqual(await idsOf(api, { states: [DRAINING] }), ["one"]);
  const unknown = await errorOf(drain({ executorId: "two" }));
  assert.deepEqual([unknown.reason, unknown.metadata.executor_id], ["EXECUTOR_NOT_FOUND", "two"]);
  assert.deepEqual(Object.keys(await faultsOf(drain({}))), ["executor_id"]);
  for (const grace of [duration(-1), duration(7 * 86_400_000 + 1)]) {
    assert.deepEqual(Object.keys(await faultsOf(drain({ executorId: "one", grace }))), ["grace"]);
  }
  await drain({ executorId: "one", grace: duration(7 * 86_400_000) });
});

test("pages of executors go on though the one that a page ended with has left", async (t) => {
  const api = await testApi(t);
  for (const name of ["c", "b", "a", "d"]) {
    await api.join(name, 1);
    await api.clock.advance(1);
  }
  const first = await listExecutors(api, { pageSize: 2 });
  assert.deepEqual(
    first.executors.map(({ executorId }) => executorId),
    ["c", "b"],
  );
  await api.store.executors.leave("b" as never, "b-1" as never);
  const rest = await listExecutors(api, { pageSize: 2, pageToken: first.nextPageToken });
  assert.deepEqual([rest.executors.map(({ executorId }) => executorId), rest.nextPageToken], [["a", "d"], ""]);
});

const view = {
  schedulerId: "scheduler-1",
  address: "127.0.0.1:1",
  version: "1.0.0",
  shardCount: 128,
  startUs: 5_000_000,
};

test("schedulers are listed with what they own and hold", async (t) => {
  const api = await testApi(t, { schedulers: [view, { ...view, schedulerId: "scheduler-2" }] });
  await api.join("a", 1);
  await api.join("b", 1);
  const { schedulers } = await api.mesh.listSchedulers({});
  const shown = { schedulerId: "scheduler-1", address: "127.0.0.1:1", version: "1.0.0", shardCount: 128 };
  const startTime = { seconds: 5n, nanos: 0 };
  assert.deepEqual(schedulers, [
    { ...shown, sessionCount: 2, startTime },
    { ...shown, schedulerId: "scheduler-2", sessionCount: 0, startTime },
  ]);
});

test("the mesh's status counts what waits, runs and is free", async (t) => {
  const api = await testApi(t);
  await api.join("e", 4, { slots: 4 });
  await api.createJob({});
  await api.submit();
  await api.submit({ policy: { routing: { executorLabels: { none: "1" } } } });
  await api.submit({ scheduledTime: { seconds: 9_000_000_000n } });
  await api.clock.advance(2_500);
  await api.beats.runOnce();
  const status = await api.mesh.getMeshStatus({});
  assert.deepEqual(status, {
    jobCount: 1n,
    scheduledCount: 1n,
    readyCount: 1n,
    runningCount: 1n,
    readyAgeMax: { seconds: 2n, nanos: 500_000_000 },
    freeSlotCount: 3n,
    slotCount: 4n,
    backends: [{ role: "store", kind: "sqlite", healthy: true, message: "" }],
  });
});

test("while the store is away the mesh's status and schedulers answer, and everything else is UNAVAILABLE", async (t) => {
  const api = await testApi(t, { schedulers: [view] });
  await api.createJob({ jobId: "j" });
  const { executionId } = await api.submit();
  api.outage.names = [];
  const status = await api.mesh.getMeshStatus({});
  assert.deepEqual([status.jobCount, status.backends[0]?.healthy], [0n, false]);
  assert.deepEqual(
    (await api.mesh.listSchedulers({})).schedulers.map(({ sessionCount }) => sessionCount),
    [0],
  );
  const name = { namespace: "", jobId: "j" };
  const page = { pageSize: 0, pageToken: "" };
  const logs = {
    executionId,
    attempt: 0,
    follow: false,
    untilEnded: false,
    tailLines: 0n,
    afterSequence: 0n,
    streams: [],
  };
  const calls: readonly (() => Promise<unknown>)[] = [
    () => api.createJob({ jobId: "k" }),
    () => api.getJob("j"),
    () => api.listJobs(),
    () => api.updateJob({ jobId: "j", target: command("true") }),
    () => api.jobs.deleteJob({ ...name, revision: 0n, cancelExecutions: false, allowMissing: false }),
    () => api.jobs.pauseJob({ ...name, reason: "" }),
    () => api.jobs.resumeJob(name),
    () => api.runJob({ jobId: "j" }),
    () => api.submit(),
    () => api.get(executionId),
    () => api.list(),
    () => api.executions.countExecutions({ filter: undefined }),
    () => api.executions.listAttempts({ executionId, ...page }),
    () => api.executions.cancelExecution({ executionId, reason: "" }),
    () => api.executions.readLogs(logs).next(),
    () => listExecutors(api),
    () => api.mesh.listHandlers({ namespace: "", ...page }),
    () => api.mesh.putDescriptors({ namespace: "", descriptorSet: reportSet() }),
  ];
  for (const call of calls) {
    const error = await errorOf(call());
    assert.deepEqual([error.code, error.reason, error.retryable], ["UNAVAILABLE", "STORE_UNAVAILABLE", true]);
  }
  api.outage.names = null;
  assert.equal((await api.listJobs()).jobs.length, 1, "nothing was stored or removed");
});

test("while the store is silent the mesh's status and schedulers answer as soon as that is known", async (t) => {
  const api = await testApi(t, { schedulers: [view] });
  const silence = Promise.withResolvers<void>();
  const reached = Promise.withResolvers<void>();
  api.base.before.statement = async () => {
    reached.resolve();
    await silence.promise;
  };
  const asked = Promise.all([api.mesh.getMeshStatus({}), api.mesh.listSchedulers({})]);
  await reached.promise;
  api.outage.names = [];
  const [status, { schedulers }] = await asked;
  assert.deepEqual([status.backends[0]?.healthy, schedulers.length], [false, 1]);
  silence.resolve();
});

test("what a later version brings answers UNIMPLEMENTED by its name", async (t) => {
  const api = await testApi(t);
  const filter = undefined;
  const calls: readonly (() => Promise<unknown>)[] = [
    () => api.executions.cancelExecutions({ filter, reason: "", allOfNamespace: false }),
    () => api.executions.explainExecution({ executionId: "" }),
    () => api.jobs.explainJob({ namespace: "", jobId: "", startTime: undefined, endTime: undefined }),
  ];
  for (const call of calls) {
    const error = await errorOf(call());
    assert.deepEqual([error.code, error.reason], ["UNIMPLEMENTED", "NOT_IMPLEMENTED"]);
    assert.match(error.message, /jobmesh\.v1\.\w+Service\/\w+/);
  }
});
