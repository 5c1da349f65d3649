/**
 * The main of the spawner process: a small child of the executor that starts
 * its commands (rule 22, see supervisor.ts). It imports little, so that it
 * starts and forks fast. One socket, descriptor 3, leads to the executor.
 */
import { Socket } from "node:net";
import { SystemClock } from "../../common/runtime/system-clock.ts";
import { WARM_UP } from "./fork-program.ts";
import { FrameSocket } from "./frame-socket.ts";
import { GroupFile } from "./group-file.ts";
import { GroupLedger } from "./group-ledger.ts";
import type { SpawnerSettings } from "./messages.ts";
import { systemProcesses } from "./process-table.ts";
import { sharedMonotonicMs } from "./shared-clock.ts";
import { Supervisor } from "./supervisor.ts";
import { SystemCommandHost } from "./system-command-host.ts";

/** The executor's socket. */
const EXECUTOR_DESCRIPTOR = 3;

function start(settings: SpawnerSettings): void {
  const file = new GroupFile(settings.groupsFile);
  const supervisor = new Supervisor(
    {
      clock: new SystemClock(),
      sharedMonotonicMs,
      executor: new FrameSocket(new Socket({ fd: EXECUTOR_DESCRIPTOR, readable: true, writable: true })),
      groups: new GroupLedger({ file, processes: systemProcesses, pid: process.pid }, settings.token),
      host: new SystemCommandHost(settings.workRoot),
    },
    settings,
  );
  supervisor.start();
}

// Whoever stops the executor's session or terminal reaches this process too; the executor decides when it ends.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});
if (process.argv[2] !== WARM_UP) start(JSON.parse(process.argv[2] ?? "") as SpawnerSettings);
