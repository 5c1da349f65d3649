import { join } from "node:path";
import { test } from "node:test";
import { ExecutionState } from "../../gen/jobmesh/v1/execution.ts";
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
  stateName,
  submitAll,
} from "../support/mixed-run.ts";
import { mixedWork } from "../support/mixed-work.ts";
import { meshOnOwnServers } from "../support/real-mesh.ts";
import { readTruth } from "../support/truth-log.ts";
import { TruthTail } from "../support/truth-tail.ts";

const SUBMISSIONS = 5_000;
const CRON_JOB = "every-second";

test("5,000 executions survive the kill of a scheduler and of an executor: none lost, none doubled", async (t) => {
  const { processes, mesh } = await meshOnOwnServers(t);
  const truthPath = join(processes.folder(), "truth");

  const [doomedScheduler, survivor] = await Promise.all([mesh.scheduler("scheduler-1"), mesh.scheduler("scheduler-2")]);
  const [doomedExecutor] = await Promise.all([
    mesh.executor("executor-1", 8),
    mesh.executor("executor-2", 4),
    mesh.executor("executor-3", 2),
  ]);
  const client = processes.client(survivor.address, { timeoutMs: 30_000, waitForReady: true });
  const doomedClient = processes.client(doomedScheduler.address, { timeoutMs: 30_000 });
  await createCron(client, CRON_JOB, command(`echo fire >> "$TRUTH.cron"`, { env: { TRUTH: truthPath } }));

  const items = mixedWork(SUBMISSIONS, truthPath);
  const tail = new TruthTail(truthPath);
  const cancels = new Cancels(client, tail, 2);
  const submitting = submitAll([doomedClient, client], items, (one) => cancels.consider(one));
  await tail.starts(SUBMISSIONS / 4);
  const running = await runningCount(client);
  doomedScheduler.process.signal("SIGKILL");
  doomedExecutor.signal("SIGKILL");
  const killedUs = Date.now() * 1000;
  const submitted = await submitting;
  await cancels.done();

  const ended = await endedAll(client, submitted);
  await client.jobs.pauseJob({ namespace: "", jobId: CRON_JOB, reason: "the test is over" });
  const truth = readTruth(truthPath);
  checkStates(ended, SUBMISSIONS);
  checkTruth(ended, truth);
  const fires = await checkEverySecond(client, CRON_JOB);
  t.diagnostic(
    `submitted and acknowledged: ${submitted.length}; running when killed: ${running}; cancelled: ${cancels.count}`,
  );
  t.diagnostic(`ended: ${JSON.stringify(countBy(ended, ({ execution }) => stateName(execution.state)))}`);
  t.diagnostic(`starts by the outside record: ${truth.starts.length}; started twice under one key: 0`);
  t.diagnostic(
    `attempts by state: ${JSON.stringify(
      countBy(
        ended.flatMap(({ attempts }) => attempts),
        (a) => stateName(a.state),
      ),
    )}`,
  );
  t.diagnostic(`cron fires, one for each second: ${fires}`);
  t.diagnostic(`lost executor's work ran on after ${Math.round((firstLossUs(ended) - killedUs) / 1000)} ms`);
});

function firstLossUs(ended: readonly Ended[]): number {
  const losses = ended
    .flatMap(({ attempts }) => attempts)
    .filter(({ state }) => state === ExecutionState.EXECUTION_STATE_LOST)
    .flatMap(({ endTime }) => (endTime === undefined ? [] : [usOfTimestamp(endTime)]));
  return Math.min(...losses);
}
