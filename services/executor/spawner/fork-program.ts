import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { SpawnerSettings } from "./messages.ts";

/** Argument with which the program only fills the compile cache and ends. */
export const WARM_UP = "warm-up";

/** The program, as .ts beside this file or as .js when it was compiled. */
const PROGRAM = fileURLToPath(new URL(`./spawner-process${import.meta.url.slice(-3)}`, import.meta.url));

/**
 * Starts the spawner's program. What a fork costs grows with the memory of who
 * forks, so that memory is kept small: with a compile cache Node does not load
 * its TypeScript stripper (82 MB resident and 1.6 ms CPU a command without, 65 MB
 * and 1.2 ms with), and V8 has no helper threads to fork around (1.1 ms). An
 * empty cache is filled by one short run before.
 */
export async function forkProgram(dataDir: string, settings: SpawnerSettings): Promise<ChildProcess> {
  const cache = join(dataDir, "compile-cache");
  if (PROGRAM.endsWith(".ts") && !existsSync(cache)) await warmUp(cache);
  return spawn(process.execPath, [...FLAGS, PROGRAM, JSON.stringify(settings)], {
    // Away from a terminal's Ctrl-C, and from NODE_OPTIONS that are meant for the executor.
    detached: true,
    env: { NODE_COMPILE_CACHE: cache },
    stdio: ["ignore", "ignore", "inherit", "pipe"],
  });
}

const FLAGS = ["--no-warnings", "--single-threaded"];

/** Without the cache it works too: whatever goes wrong here shows at the start that follows. */
function warmUp(cache: string): Promise<void> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [...FLAGS, PROGRAM, WARM_UP], {
      env: { NODE_COMPILE_CACHE: cache },
      stdio: "ignore",
    });
    child.on("error", () => resolve());
    child.on("close", () => resolve());
  });
}
