import { join } from "node:path";
import type { TestContext } from "node:test";
import { MeshProcesses, type Outcome } from "./mesh-process.ts";

/** An embedded mesh, and the `jobmesh` command as a user of it calls it. */
export async function cliMesh(t: TestContext) {
  const processes = new MeshProcesses(t);
  const dataDir = join(processes.folder(), "data");
  const mesh = await processes.dev({ dataDir });
  const env = { JOBMESH_SCHEDULER: mesh.address };
  const cli = (...args: string[]): Promise<Outcome> => processes.run(args, { env });
  return { processes, mesh, dataDir, env, cli, client: processes.client(mesh.address) };
}
