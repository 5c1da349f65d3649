/**
 * Finds the processes that a test file left behind: those that carry its mark in their environment, and those that
 * were started with a clean environment but work inside the run's own temporary folder. Linux only (/proc).
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

/** The environment variable that marks all processes of one test file. */
export const markVariable = "JOBMESH_TEST_FILE";

/** A process that still runs although its test file ended. */
export interface Leftover {
  readonly pid: number;
  /** Its command line, for people. */
  readonly command: string;
}

/** How long what was told to end, or dies with its parent, may take. */
const graceMs = 5_000;

/** Waits out the grace, then ends by SIGKILL and tells what still carries the mark or works inside the folder. */
export async function endLeftovers(mark: string, folder: string): Promise<Leftover[]> {
  const deadline = performance.now() + graceMs;
  let left = findLeftovers(mark, folder);
  while (left.length > 0 && performance.now() < deadline) {
    await delay(100);
    left = findLeftovers(mark, folder);
  }
  killAll(left);
  return left;
}

/** Ends by SIGKILL everything that carries the mark or works inside the folder, at once. */
export function killMarked(mark: string, folder: string): void {
  killAll(findLeftovers(mark, folder));
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

function findLeftovers(mark: string, folder: string): Leftover[] {
  if (process.platform !== "linux") return [];
  const found: Leftover[] = [];
  for (const entry of readdirSync("/proc")) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    try {
      const environment = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
      const isInside = readlinkSync(`/proc/${pid}/cwd`).startsWith(`${folder}/`);
      if (!isInside && !environment.includes(`${markVariable}=${mark}`)) continue;
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
      found.push({ pid, command: command.slice(0, 200) });
    } catch {
      // It ended between the listing and the look, or belongs to somebody else.
    }
  }
  return found;
}
