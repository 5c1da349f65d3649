/** 20,000 executions of every kind on real etcd, Kafka and MariaDB, while a scheduler and an executor are killed. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { ExecutionState } from "../../gen/jobmesh/v1/execution.ts";
import type { MeshClient } from "../../services/client/mesh-client.ts";
import { command } from "../../services/client/targets.ts";
import { usOfTimestamp } from "../../services/common/wire/time.ts";
import { checkEverySecond, createCron } from "../support/cron-fires.ts";
import {
  Cancels,
  checkStates,
  checkTruth,
  countBy,
  type Ended,
  endedAll,
  runningCount,
  type Submitted,
  stateName,
  submitAll,
} from "../support/mixed-run.ts";
import { mixedWork, type WorkItem, type WorkKind, type WorkShares } from "../support/mixed-work.ts";
import { outsideTurn } from "../support/outside-turn.ts";
import { meshOnOwnServers } from "../support/real-mesh.ts";
import { readTruth } from "../support/truth-log.ts";
import { TruthTail } from "../support/truth-tail.ts";
import { truthTargets } from "../support/truth-target.ts";

/** Slots of the three executors, by which their shares of equal work are measured. */
const SLOTS: Readonly<Record<string, number>> = { "executor-1": 8, "executor-2": 4, "executor-3": 2 };
/** Equal work that saturates the three. */
const EQUAL = 700;
/** Long work beneath which the two are killed: 50 attempts run, and who takes over the lost ones has room for them. */
const LONG = 60;
const TOTAL = 20_000;
const MIXED = TOTAL - EQUAL - LONG;
/** 14 slots never run 50 attempts: a fourth executor with 64 joins once shares are measured. */
const WIDE_SLOTS = 64;
const RUNNING_AT_KILL = 50;
/** From the kill until what ran there runs elsewhere. */
const ELSEWHERE_MS = 8_000;
/** By which the dead are found in that time (docs/operate.md): up to a lease, seven silent reads, and a beat. */
const QUICK = {
  JOBMESH_HEARTBEAT: "500ms",
  JOBMESH_SUSPECT: "1500ms",
  JOBMESH_LEASE: "3s",
  JOBMESH_LEASE_MARGIN: "500ms",
  JOBMESH_LOSS: "3500ms",
};
const CRONS = ["every-second-1", "every-second-2", "every-second-3", "every-second-4"];
const MIN_FIRES = 200;

const SHARES: WorkShares = {
  ...{ command: 11, handler: 35, http: 10, grpc: 10 },
  ...{ "command that fails": 2, "command that succeeds at its second attempt": 2 },
  ...{ "handler that succeeds at its second attempt": 8 },
  ...{ "command that runs into its timeout": 2, "handler that runs into its timeout": 7 },
  ...{ "command that is cancelled": 2, "handler that is cancelled": 7 },
  ...{ "slow command under FAIL": 1, "slow handler under FAIL": 3 },
};
/** What each of the kinds is made of; there are 1,500 of each at least. */
const KINDS: Readonly<Record<string, RegExp>> = {
  commands: /command/,
  handlers: /handler/,
  http: /^http$/,
  grpc: /^grpc$/,
  "failures with retries": /fails|second attempt/,
  timeouts: /timeout/,
  cancels: /cancelled/,
};
const MIN_OF_KIND = 1_500;

test("20,000 mixed executions survive the kill of a scheduler and an executor: each ends, none is lost or doubled", async (t) => {
  const { processes, mesh } = await meshOnOwnServers(t);
  const truthPath = join(processes.folder(), "truth");
  const targets = await truthTargets(t, truthPath);
  const [doomedScheduler, survivor] = await Promise.all([
    mesh.scheduler("scheduler-1", QUICK),
    mesh.scheduler("scheduler-2", QUICK),
  ]);
  const [doomedExecutor] = await Promise.all(
    Object.entries(SLOTS).map(([id, slots]) => mesh.executor(id, slots, QUICK)),
  );
  const client = processes.client(survivor.address, { timeoutMs: 30_000, waitForReady: true });
  const clients = [processes.client(doomedScheduler.address, { timeoutMs: 30_000 }), client];
  for (const id of CRONS) await createCron(client, id, command("true"));

  const tail = new TruthTail(truthPath);
  const cancels = new Cancels(client, tail, 8);
  const submit = (items: readonly WorkItem[]): Promise<readonly Submitted[]> =>
    submitAll(clients, items, (one) => cancels.consider(one));
  const work = (count: number, prefix: string, shares: WorkShares) =>
    mixedWork(count, truthPath, { prefix, shares, targets });

  const equal = await endedAll(client, await submit(work(EQUAL, "equal", { "slow handler under FAIL": 1 })));
  checkShares(equal, (text) => t.diagnostic(text));
  await mesh.executor("executor-wide", WIDE_SLOTS, QUICK);
  const first = await submit(work(MIXED / 2, "first", SHARES));
  await cancels.done();
  const long = await submit(work(LONG, "long", { "long handler": 2, "long handler under FAIL": 1 }));
  const running = await untilRunning(client, RUNNING_AT_KILL);
  doomedScheduler.process.signal("SIGKILL");
  doomedExecutor?.signal("SIGKILL");
  const killedUs = Date.now() * 1000;
  // Behind a queue what is lost would wait for its turn; how long that is says nothing of the loss.
  const taken = await endedAll(client, long);
  const second = await submit(work(MIXED / 2, "second", SHARES));
  await cancels.done();

  const ended = [...equal, ...taken, ...(await endedAll(client, [...first, ...second]))];
  const fires = await stopCrons(client);
  const truth = readTruth(truthPath);
  t.diagnostic(`ended: ${JSON.stringify(countBy(ended, ({ execution }) => stateName(execution.state)))}`);
  t.diagnostic(`of each kind: ${JSON.stringify(countKinds(ended))}; cron fires: ${fires}; cancels: ${cancels.count}`);
  t.diagnostic(`starts by the outside record: ${truth.starts.length}; current attempts when killed: ${running}`);
  checkStates(ended, TOTAL);
  checkTruth(ended, truth);
  checkFail(ended, truth.startsOf);
  assert.ok(fires >= MIN_FIRES, `${fires} cron fires`);
  for (const [kind, count] of Object.entries(countKinds(ended))) assert.ok(count >= MIN_OF_KIND, `${count} ${kind}`);
  const { lost, moved, slowestMs } = moves(ended, killedUs);
  t.diagnostic(
    `attempts lost with executor-1: ${lost}; ${moved} ran elsewhere, the last ${slowestMs} ms after the kill`,
  );
  assert.ok(moved > 0, "the killed executor ran nothing that may run again");
  assert.ok(slowestMs <= ELSEWHERE_MS, `what the killed executor ran, ran elsewhere after ${slowestMs} ms`);
});

/** Equal work that keeps all slots busy is divided as the slots are, within a tenth of each share. */
function checkShares(ended: readonly Ended[], tell: (text: string) => void): void {
  const counts = countBy(ended, ({ attempts }) => attempts.at(-1)?.executorId ?? "");
  const slots = Object.values(SLOTS).reduce((sum, own) => sum + own, 0);
  tell(`shares of ${ended.length} at 8, 4 and 2 slots: ${JSON.stringify(counts)}`);
  for (const [executorId, own] of Object.entries(SLOTS)) {
    const wanted = (ended.length * own) / slots;
    const count = counts[executorId] ?? 0;
    assert.ok(Math.abs(count - wanted) <= wanted / 10, `${executorId} ran ${count}, by its slots ${wanted}`);
  }
}

/** Resolves when so many attempts are current (DISPATCHED or RUNNING) in the store; answers how many. */
async function untilRunning(client: MeshClient, wanted: number): Promise<number> {
  for (;;) {
    const running = await runningCount(client);
    if (running >= wanted) return running;
    await outsideTurn();
  }
}

async function stopCrons(client: MeshClient): Promise<number> {
  let fires = 0;
  for (const jobId of CRONS) {
    await client.jobs.pauseJob({ namespace: "", jobId, reason: "the test is over" });
    fires += await checkEverySecond(client, jobId);
  }
  return fires;
}

function countKinds(ended: readonly { readonly kind: WorkKind }[]): Readonly<Record<string, number>> {
  const counted = Object.entries(KINDS).map(([name, kinds]) => [
    name,
    ended.filter(({ kind }) => kinds.test(kind)).length,
  ]);
  return Object.fromEntries(counted);
}

/** Under FAIL without retries nothing starts twice, whoever died. */
function checkFail(ended: readonly Ended[], startsOf: (executionId: string) => number): void {
  for (const { kind, executionId } of ended) {
    if (kind.endsWith("under FAIL")) assert.ok(startsOf(executionId) <= 1, `${kind} ${executionId} started twice`);
  }
}

/** The attempts that were lost after the kill, and when the last of those that run again did. */
function moves(ended: readonly Ended[], killedUs: number) {
  let [lost, moved, slowestMs] = [0, 0, 0];
  for (const { attempts } of ended) {
    for (const [place, attempt] of attempts.entries()) {
      if (attempt.state !== ExecutionState.EXECUTION_STATE_LOST) continue;
      lost += 1;
      const next = attempts[place + 1]?.startTime;
      if (next === undefined) continue;
      moved += 1;
      slowestMs = Math.max(slowestMs, Math.round((usOfTimestamp(next) - killedUs) / 1000));
    }
  }
  return { lost, moved, slowestMs };
}
