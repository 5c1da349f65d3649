/**
 * Finds the processes that a test file left behind: those that carry its mark in their environment, and those that
 * were started with a clean environment but work inside the run's own temporary folder. Linux only (/proc).
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

/** The environment variable that marks all processes of one test file, with that file's temporary folder. */
export const markVariable = "JOBMESH_TEST_FILE";

/** A process that still runs although its test file ended. */
export interface Leftover {
  readonly pid: number;
  /** Its command line, for people. */
  readonly command: string;
}

/** How long what was told to end, or dies with its parent, may take. */
const graceMs = 5_000;

/** Waits out the grace, then ends by SIGKILL and tells what is still marked with the folder or works inside it. */
export async function endLeftovers(folder: string): Promise<Leftover[]> {
  const deadline = performance.now() + graceMs;
  let left = findLeftovers(folder);
  while (left.length > 0 && performance.now() < deadline) {
    await delay(100);
    left = findLeftovers(folder);
  }
  killAll(left);
  return left;
}

/** Ends by SIGKILL, at once, everything that is marked with the folder or one in it, or works inside it. */
export function killMarked(folder: string): void {
  killAll(findLeftovers(folder));
}

function killAll(left: readonly Leftover[]): void {
  for (const { pid } of left) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It ended by itself meanwhile.
    }
  }
}

function findLeftovers(folder: string): Leftover[] {
  if (process.platform !== "linux") return [];
  const found: Leftover[] = [];
  for (const entry of readdirSync("/proc")) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    try {
      const environment = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
      const isInside = readlinkSync(`/proc/${pid}/cwd`).startsWith(`${folder}/`);
      const isMarked = environment.some((variable) => variable.startsWith(`${markVariable}=${folder}`));
      if (!isInside && !isMarked) continue;
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
      found.push({ pid, command: command.slice(0, 200) });
    } catch {
      // It ended between the listing and the look, or belongs to somebody else.
    }
  }
  return found;
}
