import assert from "node:assert/strict";
import { test } from "node:test";
import { silentLogger } from "../../../services/common/runtime/log.ts";
import { Cleaner } from "../../../services/scheduler/retention/cleaner.ts";
import { ManualClock } from "../../support/manual-clock.ts";

test("only the scheduler that owns the task cleans, and goes on while there is more", async () => {
  const clock = new ManualClock();
  let calls = 0;
  const store = {
    executors: { prune: async () => 0 },
    executions: { pruneRequests: async (limit: number) => (++calls === 1 ? limit : 0) },
  };
  const meshClock = { nowUs: () => clock.wallUs(), uncertaintyUs: () => 0 };
  const deps = { store: store as never, meshClock, clock, log: silentLogger };
  const other = new Cleaner({ ...deps, owners: { ownsTask: () => false } });
  assert.equal(await other.runOnce(), false);
  assert.equal(calls, 0);
  const owner = new Cleaner({ ...deps, owners: { ownsTask: () => true } });
  assert.equal(await owner.runOnce(), true);
  assert.equal(await owner.runOnce(), false);
});
