/** examples/report beside an embedded mesh of another process: by its session alone. */
import { test } from "node:test";
import { ensureGrpcurl } from "../../scripts/tools.ts";
import { MeshProcesses } from "../support/mesh-process.ts";
import { checkReport } from "../support/report-example.ts";

test("the report example joins an embedded mesh, answers JSON and bytes, fails as it says, and drains", async (t) => {
  const processes = new MeshProcesses(t);
  const grpcurl = await ensureGrpcurl();
  const { address } = await processes.dev({ dataDir: processes.folder() });
  const client = processes.client(address, { timeoutMs: 30_000 });
  await checkReport({ t, processes, client, address, grpcurl, env: { JOBMESH_SCHEDULER: address } });
});
