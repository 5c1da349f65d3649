/** `jobmesh executor` that leaves with work running: it takes its time, and ends well. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MeshProcesses } from "../support/mesh-process.ts";

/** More than the time within which two signals are one press of a key. */
const RUNS = "echo begun; sleep 1; echo ended";

test("an executor that is asked once to stop lets its work end, and exits with 0", async (t) => {
  const processes = new MeshProcesses(t);
  const listen = ["--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"];
  const scheduler = processes.start(["scheduler", ...listen, "--data-dir", processes.folder()]);
  const [, address = ""] = await scheduler.printed(/"address":"([^"]+)".*"the scheduler serves"/, { stream: "stderr" });
  const executor = processes.start(["executor", "--allow-commands", "--data-dir", processes.folder()], {
    env: { JOBMESH_SCHEDULER: address },
  });
  await executor.printed(/"a home took the executor"/, { stream: "stderr" });
  const shown = processes.start(["run", "--", RUNS], { env: { JOBMESH_SCHEDULER: address } });
  await shown.printed(/begun/);
  assert.deepEqual(await executor.end("SIGTERM"), { code: 0, signal: null }, executor.stderr);
  assert.deepEqual(await shown.over(), { code: 0, signal: null }, shown.stderr);
  assert.match(shown.stdout, /begun\nended/);
});
