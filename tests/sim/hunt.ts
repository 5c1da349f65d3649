/** Which seed catches each mutation. */
import { execFile } from "node:child_process";
import { availableParallelism } from "node:os";
import { promisify } from "node:util";
import { mutatedProcess } from "./mutated-process.ts";
import type { Mutation } from "./mutations/mutation.ts";
import { mutations } from "./mutations.ts";
import type { FailedSeed } from "./replay.ts";
import { readTable, writeTable } from "./table.ts";

const execute = promisify(execFile);

/** Seeds that a mutation has to be caught within. */
export const HUNTED_SEEDS = 200;

/** A mutation with the seed that caught it; null when none did. */
export type Catch = { readonly mutation: Mutation; readonly caught: FailedSeed | null };

/** The seed of the table, where it still catches the mutation; else the first that does. */
async function find(mutation: Mutation): Promise<Catch> {
  const row = readTable().find(({ mutation: name }) => name === mutation.name);
  const known = row === undefined ? null : await catchOf(mutation, row.seed, 1);
  return known?.caught == null ? catchOf(mutation, 1, HUNTED_SEEDS) : known;
}

/** Runs a mutation on seeds until one catches it. Rejects when the mutated code crashes: that is no verdict. */
export async function catchOf(mutation: Mutation, seed: number, count: number): Promise<Catch> {
  const { args, env } = mutatedProcess(mutation.name);
  const given = ["--json", "--seed", String(seed), "--count", String(count)];
  const { stdout } = await execute(process.execPath, [...args, ...given], { env }).catch((error: unknown) => {
    const ended = error as { code?: unknown; stdout: string; stderr: string };
    if (ended.code === 1 && ended.stdout.startsWith("{")) return ended;
    throw new Error(`mutation "${mutation.name}" crashed: ${ended.stderr}`, { cause: error });
  });
  return { mutation, caught: stdout.startsWith("{") ? (JSON.parse(stdout) as FailedSeed) : null };
}

/** Hunts all mutations, or one, and tells of each; false when one was not caught. */
export async function hunt(name: string | null): Promise<boolean> {
  const waiting = mutations.filter((one) => name === null || one.name === name);
  let isGood = waiting.length > 0;
  const catches: Catch[] = [];
  const worker = async (): Promise<void> => {
    for (let mutation = waiting.shift(); mutation !== undefined; mutation = waiting.shift()) {
      const { caught } = await find(mutation);
      if (caught === null) isGood = false;
      catches.push({ mutation, caught });
      console.log(
        `${mutation.rules.join(", ")} | ${mutation.name} | ${caught?.seed ?? "NOT CAUGHT"} | ${caught?.checker ?? ""} | ${(caught?.what ?? "").split("\n")[0]}`,
      );
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  const order = (one: Catch): number => mutations.indexOf(one.mutation);
  if (isGood && name === null) writeTable(catches.sort((a, b) => order(a) - order(b)));
  return isGood;
}
