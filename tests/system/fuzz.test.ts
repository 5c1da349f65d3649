/** Random and spoilt requests to every call of the contract, at an embedded mesh: typed answers, no crash, whole rows. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { checkAfterFuzz, fuzzMesh } from "../support/fuzz/fuzz-mesh.ts";
import { MeshProcesses } from "../support/mesh-process.ts";

test("no request of any call fails an embedded mesh, whatever is in it", async (t) => {
  const processes = new MeshProcesses(t);
  const dataDir = processes.folder();
  const mesh = await processes.dev({ dataDir });
  await fuzzMesh(t, processes, mesh.address, [mesh]);
  assert.deepEqual(await mesh.end("SIGTERM", 60_000), { code: 0, signal: null }, mesh.stderr.slice(-4_000));
  await checkAfterFuzz(`sqlite:${join(dataDir, "jobmesh.db")}`);
});
