/** Runs seeds in processes of their own, on all processors. */
import { spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { availableParallelism } from "node:os";
import { join } from "node:path";

/** Seeds of one child process: what a process has run stays in its memory in part. */
const SEEDS_AT_ONCE = 50;

/** Runs fresh seeds for so many minutes, or until one fails; false then. */
export async function roam(minutes: number): Promise<boolean> {
  const endMs = performance.now() + minutes * 60_000;
  return inParallel(() => (performance.now() < endMs ? randomInt(1_000, 2 ** 31) : null));
}

/** Runs these seeds; false when one failed. */
export async function inChunks(first: number, count: number): Promise<boolean> {
  let next = first;
  return inParallel(() => {
    if (next >= first + count) return null;
    next += SEEDS_AT_ONCE;
    return next - SEEDS_AT_ONCE;
  });
}

/** @param draw the first seed of the next process; null when there is none. */
async function inParallel(draw: () => number | null): Promise<boolean> {
  let isGood = true;
  const worker = async (): Promise<void> => {
    for (let seed = draw(); seed !== null && isGood; seed = draw()) {
      if (!(await seeds(seed))) isGood = false;
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  return isGood;
}

function seeds(seed: number): Promise<boolean> {
  // A planted fault is switched in by what this process was started with.
  const mutation = process.env.JOBMESH_SIM_MUTATION;
  const main = [...process.execArgv, join(import.meta.dirname, "main.ts")];
  const given = ["--seed", String(seed), "--count", String(SEEDS_AT_ONCE)];
  if (mutation !== undefined) given.push("--mutation", mutation);
  return new Promise((resolve) => {
    spawn(process.execPath, [...main, ...given], { stdio: "inherit" }).on("exit", (code) => resolve(code === 0));
  });
}
