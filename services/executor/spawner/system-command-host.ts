import { spawn } from "node:child_process";
import { mkdirSync, rmdirSync, statSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { CommandEar, CommandFork, CommandHost, ForkedCommand } from "./port/command-host.ts";
import { groupLives, killGroup } from "./process-table.ts";

/** SystemCommandHost is this machine, for a spawner process. */
export class SystemCommandHost implements CommandHost {
  readonly killGroup = killGroup;
  readonly groupLives = groupLives;
  readonly #workRoot: string;

  /** Fresh working directories are made in `workRoot`, which is made here. */
  constructor(workRoot: string) {
    this.#workRoot = workRoot;
    mkdirSync(workRoot, { recursive: true, mode: 0o700 });
  }

  fork(fork: CommandFork, ear: CommandEar): ForkedCommand {
    const child = spawn(fork.file, fork.args, {
      cwd: fork.folder,
      env: fork.env,
      // A session and group of its own, away from a terminal's Ctrl-C too.
      detached: true,
      stdio: [fork.stdin === undefined ? "ignore" : "pipe", "pipe", "pipe"],
    });
    child.on("error", (error) => ear.onError(error));
    if (child.pid === undefined) return { pid: undefined, closeOutputs: () => {} };
    child.on("exit", (code, signal) => ear.onExit(code, signal));
    child.on("close", () => ear.onClose());
    child.stdout?.on("data", (data: Buffer) => ear.onData("stdout", data));
    child.stderr?.on("data", (data: Buffer) => ear.onData("stderr", data));
    // It may end, or close its input, without reading it.
    child.stdin?.on("error", () => {});
    child.stdin?.end(fork.stdin);
    return {
      pid: child.pid,
      closeOutputs: () => {
        child.stdout?.destroy();
        child.stderr?.destroy();
      },
    };
  }

  makeFolder(name: string): string {
    const folder = join(this.#workRoot, name);
    mkdirSync(folder, { mode: 0o700 });
    return folder;
  }

  async removeFolder(folder: string): Promise<void> {
    try {
      rmdirSync(folder);
    } catch {
      // Not empty, or gone. A large tree does not hold up the result.
      await rm(folder, { recursive: true, force: true, maxRetries: 2 });
    }
  }

  isFolder(path: string): boolean {
    try {
      return statSync(path).isDirectory();
    } catch {
      return false;
    }
  }
}
