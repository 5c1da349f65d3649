/** kill -9 of the embedded mesh under load, twenty times: nothing is lost, and nothing runs twice that must not. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type Execution, ExecutionState } from "../../gen/jobmesh/v1/execution.ts";
import { CountExecutionsRequest } from "../../gen/jobmesh/v1/execution_service.ts";
import { ExecutionPolicy, LostPolicy } from "../../gen/jobmesh/v1/job.ts";
import { command } from "../../services/client/targets.ts";
import { MeshProcesses } from "../support/mesh-process.ts";
import { Submitters } from "../support/submitters.ts";

const KILLS = 20;
/** Every fifth time it is killed as soon as it is ready, while it still mends what the kill before left. */
const AT_ONCE_EACH = 5;
const MAX_ACKNOWLEDGED_BETWEEN = 60;
const CALLERS = 6;

const RETRY = ExecutionPolicy.fromPartial({ lostPolicy: LostPolicy.LOST_POLICY_RETRY, maxLosses: 1_000 });
const FAIL = ExecutionPolicy.fromPartial({ lostPolicy: LostPolicy.LOST_POLICY_FAIL });

/** Odd ones may run once at most. */
const mayRepeat = (number: number): boolean => number % 2 === 0;

/** Every third one takes a moment, so that a kill meets it half way. */
function submission(truth: string, number: number) {
  const line = `echo "$JOBMESH_EXECUTION_ID $JOBMESH_ATTEMPT" >>"$TRUTH"${number % 3 === 0 ? "; sleep 0.05" : ""}`;
  return {
    target: command(line, { env: { TRUTH: truth } }),
    policy: mayRepeat(number) ? RETRY : FAIL,
    labels: { test: "crash" },
  };
}

/** Runs by execution, as their commands wrote them down. */
function readTruth(truth: string): Map<string, number[]> {
  const runs = new Map<string, number[]>();
  for (const line of readFileSync(truth, "utf8").trim().split("\n")) {
    const [executionId = "", attempt] = line.split(" ");
    runs.set(executionId, [...(runs.get(executionId) ?? []), Number(attempt)]);
  }
  return runs;
}

test("kill -9 of the embedded mesh under load, 20 times, loses nothing", async (t) => {
  const processes = new MeshProcesses(t);
  const dataDir = processes.folder();
  const truth = join(processes.folder(), "truth");
  let mesh = await processes.dev({ dataDir });
  const { address } = mesh;
  const client = processes.client(address);
  const submitters = new Submitters(client, (number) => submission(truth, number), CALLERS);
  for (let kill = 1; kill <= KILLS; kill++) {
    // Not the same load before each kill, and the same in each run of the test.
    await submitters.more(kill % AT_ONCE_EACH === 0 ? 0 : 1 + ((kill * 37) % MAX_ACKNOWLEDGED_BETWEEN));
    await mesh.end("SIGKILL");
    mesh = await processes.dev({ dataDir, listen: address });
  }
  const acknowledged = await submitters.stop();
  const ended = await Promise.all(acknowledged.map(({ executionId }) => client.waitUntilEnded(executionId)));
  const filter = { labels: { test: "crash" } };
  const { counts } = await client.executions.countExecutions(CountExecutionsRequest.fromPartial({ filter }));
  const runs = readTruth(truth);
  const tally = check(
    acknowledged.map(({ number }, index) => ({ number, execution: ended[index] })),
    runs,
  );
  t.diagnostic(`${KILLS} kills, ${acknowledged.length} acknowledged, ${submitters.unavailableCount} tries again`);
  t.diagnostic(JSON.stringify(tally));

  assert.equal(new Set(acknowledged.map(({ executionId }) => executionId)).size, acknowledged.length);
  assert.equal(
    counts.reduce((sum, { count }) => sum + Number(count), 0),
    acknowledged.length,
    "no request_id made two executions, and no execution is there that nobody submitted",
  );
  assert.deepEqual({ ...tally, lostUnderFail: 0, repeatedUnderRetry: 0, succeeded: 0 }, NOTHING_WRONG);
  assert.ok(tally.succeeded > acknowledged.length / 2);
});

const NOTHING_WRONG = {
  succeeded: 0,
  lostUnderFail: 0,
  repeatedUnderRetry: 0,
  otherEnds: 0,
  succeededWithoutRun: 0,
  twiceUnderFail: 0,
  twiceUnderOneKey: 0,
  lostUnderRetry: 0,
};

type Checked = { readonly number: number; readonly execution: Execution | undefined };

function check(all: readonly Checked[], runs: ReadonlyMap<string, readonly number[]>) {
  const tally = { ...NOTHING_WRONG };
  for (const { number, execution } of all) {
    const attempts = runs.get(execution?.executionId ?? "") ?? [];
    if (new Set(attempts).size !== attempts.length) tally.twiceUnderOneKey += 1;
    if (attempts.length > 1) tally[mayRepeat(number) ? "repeatedUnderRetry" : "twiceUnderFail"] += 1;
    switch (execution?.state) {
      case ExecutionState.EXECUTION_STATE_SUCCEEDED:
        tally.succeeded += 1;
        if (attempts.length === 0) tally.succeededWithoutRun += 1;
        break;
      case ExecutionState.EXECUTION_STATE_LOST:
        tally[mayRepeat(number) ? "lostUnderRetry" : "lostUnderFail"] += 1;
        break;
      default:
        tally.otherEnds += 1;
    }
  }
  return tally;
}
