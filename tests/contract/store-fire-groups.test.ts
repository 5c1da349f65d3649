/** Rule 9: fires that fall due together are one transaction, each compared with its own job. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { SqlJobStore } from "../../services/common/adapter/sql/jobs.ts";
import { fireExecutionId } from "../../services/common/domain/execution-id.ts";
import type { JobUid } from "../../services/common/domain/identifier.ts";
import { defaultPolicy } from "../../services/common/domain/policy.ts";
import type { Fire } from "../../services/common/port/store-jobs.ts";
import { newExecution, onEveryStore, type StoreSetup } from "../support/execution-store.ts";

const DUE_US = 1_700_000_000_000_000;

/** A job that is due, and its fire. */
async function dueJob(jobs: SqlJobStore, jobId: string): Promise<Fire> {
  const jobUid = randomUUID() as JobUid;
  const spec = { namespace: "default", jobId, name: jobId, description: "", labels: {}, schedule: null };
  const { target } = newExecution();
  await jobs.create({ ...spec, target, policy: defaultPolicy, jobUid, shard: 1, nextFireUs: DUE_US }, null);
  const executionId = fireExecutionId(jobUid, DUE_US / 1_000, 0);
  const execution = newExecution({ executionId, jobId, jobUid, cause: "SCHEDULE", name: jobId, scheduledUs: DUE_US });
  return { jobUid, revision: 1, nominalUs: DUE_US, nextUs: null, executions: [execution], skipped: [] };
}

async function setupGroup(setup: StoreSetup, names: readonly string[]) {
  const jobs = new SqlJobStore(setup.database);
  const fires: Fire[] = [];
  for (const name of names) fires.push(await dueJob(jobs, name));
  const stored = async (): Promise<string[]> =>
    (await setup.rows("SELECT name FROM executions ORDER BY name")).map((row) => String(row.name));
  return { jobs, fires, stored };
}

onEveryStore("rule 9: of fires stored together only those whose job has changed are stale", async (setup) => {
  const { jobs, fires, stored } = await setupGroup(setup, ["a", "b", "c"]);
  await jobs.pause("default", "b", "");
  const outcomes = await jobs.fireAll(fires);
  assert.deepEqual(
    outcomes.map(({ kind }) => kind),
    ["fired", "stale", "fired"],
  );
  assert.deepEqual(await stored(), ["a", "c"]);
  const again = await jobs.fireAll(fires);
  assert.deepEqual(
    again.map(({ kind }) => kind),
    ["stale", "stale", "stale"],
  );
  assert.deepEqual(await stored(), ["a", "c"]);
});

onEveryStore("rule 9: a fire that the store refuses is refused alone, and its job stays due", async (setup) => {
  const { jobs, fires, stored } = await setupGroup(setup, ["a", "poison", "c"]);
  setup.refuse((sql, params) => sql.includes("INTO executions") && params.includes("poison"));
  const outcomes = await jobs.fireAll(fires);
  assert.deepEqual(
    outcomes.map(({ kind }) => kind),
    ["fired", "refused", "fired"],
  );
  assert.deepEqual(await stored(), ["a", "c"]);
  assert.equal((await jobs.get("default", "poison"))?.nextFireUs, DUE_US);
});
