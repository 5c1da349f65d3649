/** Kafka, etcd and MariaDB, each alone and all together, are away for 30 seconds while work comes in and a cron runs. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, type TestContext, test } from "node:test";
import { RenderRequest, ReportServiceService } from "../../examples/report/gen/acme/report/v1/report_service.ts";
import { ExecutionState } from "../../gen/jobmesh/v1/execution.ts";
import { ExecutionPolicy, LostPolicy, type Target } from "../../gen/jobmesh/v1/job.ts";
import type { MeshClient } from "../../services/client/mesh-client.ts";
import { handler } from "../../services/client/targets.ts";
import { SystemClock } from "../../services/common/runtime/system-clock.ts";
import { createDatabase, EtcdServer, KafkaServer, MariaDbServer, testCluster } from "../support/backends.ts";
import { createCron, executionsOf, nominalSecond } from "../support/cron-fires.ts";
import { DistributedMesh } from "../support/distributed-mesh.ts";
import { MeshProcesses } from "../support/mesh-process.ts";
import { countBy, stateName } from "../support/mixed-run.ts";
import { OutageWatch } from "../support/outage-watch.ts";
import { SteadyLoad } from "../support/steady-load.ts";
import { readTruth } from "../support/truth-log.ts";

const PER_SECOND = 200;
const OUTAGE_MS = 30_000;
/** Status names what is away within this; the first execution follows the return within as long. */
const NOTICED_MS = 3_000;
const BEFORE_MS = 4_000;
const AFTER_MS = 6_000;
const CRON = "every-second";

const clock = new SystemClock();
const servers = { etcd: new EtcdServer(), kafka: new KafkaServer(), mysql: new MariaDbServer() };
const ROLES = { etcd: "registry", kafka: "bus", mysql: "store" } as const;
type Name = keyof typeof servers;

before(async () => {
  await Promise.all(Object.values(servers).map((server) => server.start()));
});

after(async () => {
  await Promise.all(Object.values(servers).map((server) => server.dispose()));
});

/** A way to be away: ended and started again, or alive and silent. */
type Way = "killed" | "halted";

async function leave(way: Way, names: readonly Name[]): Promise<void> {
  for (const name of names) if (way === "halted") servers[name].pause();
  if (way === "killed") await Promise.all(names.map((name) => servers[name].kill()));
}

async function comeBack(way: Way, names: readonly Name[]): Promise<void> {
  for (const name of names) if (way === "halted") servers[name].resume();
  if (way === "killed") await Promise.all(names.map((name) => servers[name].start()));
}

function targetOf(truth: string): Target {
  return handler(ReportServiceService.render, RenderRequest.fromPartial({ title: truth, rows: [] }));
}

/** A mesh of two schedulers and two executors on the servers of this file, with its load and its cron. */
async function startMesh(t: TestContext) {
  const processes = new MeshProcesses(t);
  const database = await createDatabase(servers.mysql.url);
  const mesh = new DistributedMesh(processes, {
    ...{ etcdEndpoints: [servers.etcd.endpoint], kafkaBrokers: [servers.kafka.broker] },
    ...{ mysqlUrl: database.url, cluster: testCluster() },
  });
  const schedulers = await Promise.all([mesh.scheduler("scheduler-1"), mesh.scheduler("scheduler-2")]);
  await Promise.all([mesh.executor("executor-1", 32), mesh.executor("executor-2", 16)]);
  const clients = schedulers.map(({ address }) => processes.client(address));
  const [client] = clients;
  assert.ok(client);
  const truth = join(processes.folder(), "truth");
  await createCron(client, CRON, targetOf(`${truth}.cron`));
  const load = new SteadyLoad(clients, PER_SECOND, (number) => ({
    target: targetOf(truth),
    policy: ExecutionPolicy.fromPartial({ lostPolicy: number % 2 === 0 ? LostPolicy.LOST_POLICY_FAIL : 0 }),
  }));
  const watch = new OutageWatch(client, schedulers[0]?.address ?? "", truth);
  return { client, load, watch, truth };
}

/** Runs one outage in the middle of steady work, and checks what holds in each. Times are of performance.now(). */
async function outage(t: TestContext, way: Way, names: readonly Name[]) {
  const { client, load, watch, truth } = await startMesh(t);
  await clock.sleep(BEFORE_MS);
  const awayMs = performance.now();
  await leave(way, names);
  await clock.sleep(OUTAGE_MS);
  const returningMs = performance.now();
  await comeBack(way, names);
  const backMs = performance.now();
  await clock.sleep(AFTER_MS);
  await load.stop();
  const ended = await endedAll(client, load);
  await client.jobs.pauseJob({ namespace: "", jobId: CRON, reason: "the test is over" });
  await watch.stop();

  const named = names.map((name) => [name, Math.round(watch.namedAfterMs(awayMs, ROLES[name]))] as const);
  const nextMs = Math.round(watch.startedAfterMs(backMs));
  const fires = await accountedFires(client);
  t.diagnostic(`acknowledged ${load.acknowledged.length}, refused ${load.refused.length} of ${load.made}`);
  t.diagnostic(`named after ${JSON.stringify(Object.fromEntries(named))} ms, next start ${nextMs} ms after the return`);
  t.diagnostic(`ended: ${JSON.stringify(ended)}; fires: ${JSON.stringify(fires)}`);
  for (const [name, ms] of named) assert.ok(ms <= NOTICED_MS, `${name} was named as away after ${ms} ms`);
  for (const name of names) assert.ok(watch.wellAfterMs(backMs, ROLES[name]) < AFTER_MS * 3, `${name} is not back`);
  assert.deepEqual(watch.failures, [], "status and liveness are always answered");
  assert.ok(
    watch.looks.every(({ serving }) => serving),
    "liveness stays SERVING",
  );
  assert.ok(nextMs <= NOTICED_MS, `the next execution started ${nextMs} ms after the return`);
  checkTruth(load, truth);
  return { load, watch, awayMs, returningMs, backMs };
}

/** Waits for the end of each that was acknowledged; how many ended in which state. */
async function endedAll(client: MeshClient, load: SteadyLoad): Promise<Readonly<Record<string, number>>> {
  const states: Record<string, number> = {};
  const left = [...load.acknowledged];
  const worker = async (): Promise<void> => {
    for (let one = left.pop(); one !== undefined; one = left.pop()) {
      const { state, lost } = await endOf(client, one.executionId);
      const isGood = state === ExecutionState.EXECUTION_STATE_SUCCEEDED;
      assert.ok(isGood || (lost && one.number % 2 === 0), `${one.executionId} ended as ${stateName(state)}`);
      states[stateName(state)] = (states[stateName(state)] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: 64 }, worker));
  return states;
}

async function endOf(client: MeshClient, executionId: string) {
  const { state } = await client.waitUntilEnded(executionId, AbortSignal.timeout(60_000));
  return { state, lost: state === ExecutionState.EXECUTION_STATE_LOST };
}

/** By the outside record: no key ran twice, and what may not be repeated started once at most. */
function checkTruth(load: SteadyLoad, path: string): void {
  const truth = readTruth(path);
  assert.equal(new Set(truth.starts).size, truth.starts.length, "an attempt started twice under one key");
  for (const { executionId, number } of load.acknowledged) {
    assert.ok(truth.startsOf(executionId) > 0 || number % 2 === 0, `${executionId} never ran`);
    assert.ok(truth.startsOf(executionId) === 1 || number % 2 === 1, `${executionId} ran again under FAIL`);
  }
}

/** Every second from the first to the last is fired, or is counted by the execution or the record that stands for it. */
async function accountedFires(client: MeshClient): Promise<Readonly<Record<string, number>>> {
  const fires = await executionsOf(client, CRON);
  const seconds = fires.map(nominalSecond);
  assert.equal(new Set(seconds).size, seconds.length, "a nominal second has two executions");
  const span = Math.max(...seconds) - Math.min(...seconds) + 1;
  const accounted = fires.reduce((sum, { mergedCount }) => sum + 1 + Number(mergedCount), 0);
  assert.equal(accounted, span, `of ${span} seconds ${accounted} are accounted for`);
  return { ...countBy(fires, ({ state }) => stateName(state)), seconds: span };
}

test("with Kafka away for 30 s nothing is refused, and work goes on by the sessions", async (t) => {
  const { load, watch, awayMs, returningMs } = await outage(t, "killed", ["kafka"]);
  assert.deepEqual(load.refused.map(({ error }) => error.message).slice(0, 3), [], "nothing is refused");
  const started = watch.startedBy(returningMs) - watch.startedBy(awayMs + NOTICED_MS);
  const wanted = load.acknowledged.filter(({ atMs }) => atMs > awayMs + NOTICED_MS && atMs < returningMs).length;
  t.diagnostic(`while Kafka was away ${started} started of ${wanted}`);
  assert.ok(started >= wanted * 0.9, `${started} of ${wanted} started while Kafka was away`);
});

test("with etcd away for 30 s nothing is refused, and all of it runs", async (t) => {
  const { load, watch, awayMs, returningMs } = await outage(t, "killed", ["etcd"]);
  assert.deepEqual(load.refused.map(({ error }) => error.message).slice(0, 3), [], "nothing is refused");
  assert.ok(watch.startedBy(returningMs) - watch.startedBy(awayMs) > (OUTAGE_MS / 1000) * PER_SECOND * 0.9);
});

for (const [title, way, names] of [
  ["MariaDB silent", "halted", ["mysql"]],
  ["Kafka, etcd and MariaDB killed", "killed", ["kafka", "etcd", "mysql"]],
] as const) {
  test(`with ${title} for 30 s what cannot be stored is refused with UNAVAILABLE, and what was taken ends once`, async (t) => {
    const { load, awayMs, returningMs } = await outage(t, way, names);
    const others = load.refused.filter(({ error }) => error.code !== "UNAVAILABLE");
    assert.deepEqual(
      others.map(({ error, atMs }) => `${error.code} ${error.message} at ${Math.round(atMs - awayMs)} ms`).slice(0, 5),
      [],
    );
    const refused = load.refused.filter(({ atMs }) => atMs > awayMs && atMs < returningMs).length;
    assert.ok(refused > (OUTAGE_MS / 1000) * PER_SECOND * 0.8, `${refused} were refused meanwhile`);
    const longestMs = Math.max(...load.refused.map(({ tookMs }) => tookMs));
    t.diagnostic(`the slowest refusal took ${Math.round(longestMs)} ms`);
  });
}
