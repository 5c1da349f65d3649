import assert from "node:assert/strict";
import { after, before, type TestContext, test } from "node:test";
import { type Execution, ExecutionState } from "../../gen/jobmesh/v1/execution.ts";
import { SubmitExecutionRequest } from "../../gen/jobmesh/v1/execution_service.ts";
import { connectMesh, JobmeshError } from "../../services/client/index.ts";
import type { MeshClient } from "../../services/client/mesh-client.ts";
import { command } from "../../services/client/targets.ts";
import { type Backends, startBackends } from "../support/backends.ts";
import { etcdctl, Relay } from "../support/etcd.ts";
import { meshOn } from "../support/real-mesh.ts";

const { EXECUTION_STATE_READY: READY, EXECUTION_STATE_SUCCEEDED: SUCCEEDED } = ExecutionState;
const WAIT_MS = 60_000;
let servers: Backends;

before(async () => {
  servers = await startBackends({ etcd: true, kafka: true, mysql: true });
});
after(() => servers.stop());

/** Two schedulers and three executors on real backends; the etcd of the first two executors can be cut off. */
async function setup(t: TestContext) {
  const { processes, mesh, backends } = await meshOn(t, servers);
  const relay = new Relay();
  const [etcd = ""] = backends.etcdEndpoints;
  await relay.start(etcd);
  t.after(() => relay.stop());
  const schedulers = await Promise.all([mesh.scheduler("scheduler-1"), mesh.scheduler("scheduler-2")]);
  const cuttable = { JOBMESH_ETCD_ENDPOINTS: relay.endpoint };
  await Promise.all([
    // Each is homed at another scheduler, so that both have somebody to stop routing to.
    ...schedulers.map(({ address }, index) => {
      const who = `executor-${index + 1}`;
      return mesh.executor(who, 4, { ...cuttable, JOBMESH_SCHEDULER: address, JOBMESH_LABELS: `who=${who}` });
    }),
    mesh.executor("executor-3", 4, { JOBMESH_LABELS: "who=executor-3" }),
  ]);
  return {
    clients: schedulers.map(({ address }) => processes.client(address, { timeoutMs: WAIT_MS })),
    cut: () => relay.turn(null),
    join: () => relay.turn(etcd),
    ctl: (...args: string[]) => etcdctl(backends.etcdEndpoints, ...args),
    key: (who: string) => `${backends.cluster}/executor/${who}`,
  };
}

/** A command for one executor, or for any. */
function work(who: string | null, line = "true"): SubmitExecutionRequest {
  const routing = who === null ? {} : { routing: { executorLabels: { who } } };
  return SubmitExecutionRequest.fromPartial({ target: command(line), policy: routing });
}

async function ended(client: MeshClient, execution: Execution): Promise<Execution> {
  return await client.waitUntilEnded(execution.executionId, AbortSignal.timeout(WAIT_MS));
}

/** Submits until one waits: the scheduler then has seen that the executor's key is gone. Answers what it submitted. */
async function untilOneWaits(client: MeshClient, who: string): Promise<readonly Execution[]> {
  const submitted: Execution[] = [];
  const late = AbortSignal.timeout(WAIT_MS);
  while (!late.aborted) {
    const execution = await client.submit(work(who));
    submitted.push(execution);
    const now = await client.executions.getExecution({
      executionId: execution.executionId,
      waitUntilEnded: false,
      view: 0,
    });
    if (execution.state === READY && now.execution?.state === READY) return submitted;
  }
  throw new Error(`work for ${who} went on to be dispatched`);
}

test("an executor whose key is deleted by etcdctl gets no more work from any scheduler, until it is registered again", async (t) => {
  const { clients, cut, join, ctl, key } = await setup(t);
  const [first, second] = clients;
  assert.ok(first !== undefined && second !== undefined);
  const cutOff = ["executor-1", "executor-2"] as const;
  for (const client of clients) {
    for (const who of [...cutOff, "executor-3"]) {
      const done = await ended(client, await client.submit(work(who)));
      assert.deepEqual([done.state, done.executorId], [SUCCEEDED, who], "before, each is routed to by each scheduler");
    }
  }
  const { executors } = await first.mesh.listExecutors({
    labels: {},
    pageSize: 0,
    pageToken: "",
    namespace: "",
    states: [],
    capability: "",
  });
  const homes = Object.fromEntries(executors.map(({ executorId, homeSchedulerId }) => [executorId, homeSchedulerId]));
  assert.deepEqual([homes["executor-1"], homes["executor-2"]], ["scheduler-1", "scheduler-2"]);

  // Cut off from etcd they cannot register again; their sessions, and so their heartbeats, go on.
  cut();
  for (const who of cutOff) assert.equal(await ctl("del", key(who)), "1", "the key was there until now");
  const homed = [await untilOneWaits(first, "executor-1"), await untilOneWaits(second, "executor-2")];
  const waiting = (await Promise.all([first.submit(work("executor-2")), second.submit(work("executor-1"))])).concat(
    homed.map((submitted) => submitted.at(-1) ?? assert.fail()),
  );
  const elsewhere: Execution[] = [];
  // More than a second of work, over which every scheduler sweeps several times.
  for (let round = 0; round < 6; round += 1) {
    for (const client of clients) elsewhere.push(await ended(client, await client.submit(work(null, "sleep 0.1"))));
  }
  assert.deepEqual(
    new Set(elsewhere.map(({ executorId }) => executorId)),
    new Set(["executor-3"]),
    "work goes elsewhere",
  );
  for (const { executionId } of waiting) {
    const { execution } = await second.executions.getExecution({ executionId, waitUntilEnded: false, view: 0 });
    assert.deepEqual([execution?.state, execution?.attempt], [READY, 0], "what only they can run waits");
  }

  join();
  for (const execution of [...waiting, ...homed.flat()]) {
    const done = await ended(first, execution);
    assert.deepEqual([done.state, done.attempt, done.lossCount], [SUCCEEDED, 1, 0]);
  }
  for (const who of cutOff) assert.match(await ctl("get", key(who), "--print-value-only"), /"incarnation"/);
});

test("a client finds the schedulers by etcd:///scheduler, and follows when one goes", async (t) => {
  const { mesh, backends } = await meshOn(t, servers);
  const { etcdEndpoints, cluster } = backends;
  const connection = await connectMesh({ etcdEndpoints, cluster, timeoutMs: WAIT_MS });
  t.after(() => connection.close());
  const early = connection.client.mesh.getMeshStatus({});
  const [one] = await Promise.all([
    mesh.scheduler("scheduler-1"),
    mesh.scheduler("scheduler-2"),
    mesh.executor("executor-1", 4),
  ]);
  await early;
  const submit = async () => ended(connection.client, await connection.client.submit(work(null)));
  for (let count = 0; count < 6; count += 1) assert.equal((await submit()).state, SUCCEEDED);
  one.process.signal("SIGKILL");
  for (let count = 0; count < 6; count += 1) {
    const submitted = await untilSubmitted(connection.client);
    assert.equal((await ended(connection.client, submitted)).state, SUCCEEDED);
  }
});

/** A submission over a scheduler's death: its request_id makes it safe to send again. */
async function untilSubmitted(client: MeshClient): Promise<Execution> {
  const request = { ...work(null), requestId: `r-${process.hrtime.bigint()}` };
  const late = AbortSignal.timeout(WAIT_MS);
  for (;;) {
    try {
      return await client.submit(request);
    } catch (error) {
      if (late.aborted || !(error instanceof JobmeshError) || error.code !== "UNAVAILABLE") throw error;
    }
  }
}
