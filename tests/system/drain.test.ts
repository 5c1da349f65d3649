/** DrainExecutor, by real grpcurl and by the CLI, at the embedded mesh. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Grpcurl, type Json } from "../support/grpcurl.ts";
import { MeshProcesses } from "../support/mesh-process.ts";

const DRAIN = "jobmesh.v1.MeshService/DrainExecutor";

/** True once nobody is registered: each look is a process of its own, so a hundred take seconds. */
async function leaves(grpcurl: Grpcurl): Promise<boolean> {
  for (let looks = 0; looks < 100; looks++) {
    const { messages } = await grpcurl.call("jobmesh.v1.MeshService/ListExecutors");
    if (messages[0]?.executors === undefined) return true;
  }
  return false;
}

test("an executor is drained by its name, and leaves; one that nobody knows is not found", async (t) => {
  const processes = new MeshProcesses(t);
  const mesh = await processes.dev({ dataDir: processes.folder() });
  const grpcurl = await Grpcurl.at(mesh.address);
  const unknown = await grpcurl.call(DRAIN, { executor_id: "nobody" });
  const [info] = unknown.status?.details ?? [];
  assert.deepEqual([unknown.status?.code, info?.reason], [5, "EXECUTOR_NOT_FOUND"]);
  const drained = await grpcurl.call(DRAIN, { executor_id: "embedded", grace: "2s" });
  const { executor } = (drained.messages[0] ?? {}) as { executor?: Json };
  assert.equal(executor?.state, "EXECUTOR_STATE_DRAINING", drained.stderr);
  assert.ok(await leaves(grpcurl));
});

test("jobmesh drain asks an executor to leave, and says what is wrong with what it was given", async (t) => {
  const processes = new MeshProcesses(t);
  const mesh = await processes.dev({ dataDir: processes.folder() });
  const env = { JOBMESH_SCHEDULER: mesh.address };
  const none = await processes.run(["drain"], { env });
  assert.deepEqual([none.code !== 0, /drain needs one executor/.test(none.stderr)], [true, true], none.stderr);
  const unknown = await processes.run(["drain", "nobody"], { env });
  assert.match(unknown.stderr, /there is no such executor/);
  const outcome = await processes.run(["drain", "--grace", "1", "embedded"], { env });
  assert.equal(outcome.code, 0, outcome.stderr);
  assert.match(outcome.stdout, /^embedded drains; it runs \d+ of \d+\n$/);
  assert.ok(await leaves(await Grpcurl.at(mesh.address)));
});
