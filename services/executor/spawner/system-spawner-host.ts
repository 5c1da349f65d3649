import type { ChildProcess } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { Socket } from "node:net";
import { join } from "node:path";
import { forkProgram } from "./fork-program.ts";
import { FrameSocket } from "./frame-socket.ts";
import { groupFileText } from "./group-file.ts";
import type { SpawnerChild, SpawnerFolder, SpawnerHost, SpawnerStart } from "./port/spawner-host.ts";
import { systemProcesses } from "./process-table.ts";
import { sharedMonotonicMs } from "./shared-clock.ts";

/** Path of the file of groups in a data folder. */
export function groupsFilePath(dataDir: string): string {
  return join(dataDir, "spawner-groups");
}

/** Path of the fresh working directories in a data folder. */
export function workRootPath(dataDir: string): string {
  return join(dataDir, "commands");
}

/** SystemSpawnerHost is this machine, for the executor of one data folder. */
export class SystemSpawnerHost implements SpawnerHost {
  readonly processes = systemProcesses;
  readonly folder: SpawnerFolder;
  readonly sharedMonotonicMs = sharedMonotonicMs;
  readonly #dataDir: string;

  /** The data folder: absolute, locked by the caller (rule 23). */
  constructor(dataDir: string) {
    this.#dataDir = dataDir;
    this.folder = {
      readGroups: () => groupFileText(groupsFilePath(dataDir)),
      removeGroups: () => rmSync(groupsFilePath(dataDir), { force: true }),
      removeWork: (onFailure) => removeContent(workRootPath(dataDir), onFailure),
    };
  }

  async open(start: SpawnerStart): Promise<SpawnerChild> {
    const dataDir = this.#dataDir;
    mkdirSync(dataDir, { recursive: true });
    const paths = { groupsFile: groupsFilePath(dataDir), workRoot: workRootPath(dataDir) };
    return new ForkedSpawner(await forkProgram(dataDir, { ...paths, ...start }));
  }
}

/** The spawner process as Node's child. */
class ForkedSpawner implements SpawnerChild {
  readonly pipe: FrameSocket;
  readonly closed: Promise<string>;
  readonly #child: ChildProcess;

  constructor(child: ChildProcess) {
    this.#child = child;
    this.closed = new Promise((resolve) => {
      child.on("close", (code, signal) => resolve(signal ?? `code ${code}`));
      // Node reports a failed kill this way too; that is no end.
      child.on("error", (error) => child.pid === undefined && resolve(String(error)));
    });
    // A machine without a descriptor left gives a child without any.
    const socket = child.stdio?.[3];
    if (!(socket instanceof Socket)) throw new Error("this machine has no descriptors for a spawner process");
    this.pipe = new FrameSocket(socket);
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }
}

async function removeContent(root: string, onFailure: (folder: string, error: unknown) => void): Promise<void> {
  const names = await readdir(root).catch(() => []);
  for (const name of names) {
    await rm(join(root, name), { recursive: true, force: true }).catch((error: unknown) => onFailure(name, error));
  }
}
