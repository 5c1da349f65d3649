/**
 * `npm run sim`: runs seeds of the simulation.
 *
 *   npm run sim -- --seed N [--count C] [--steps M] [--trace]   these seeds, each for M events at most
 *   npm run sim -- --minutes M                                  fresh seeds, on all processors
 *   npm run sim -- --seed N --shrink                            drops faults and load while it still fails
 *   npm run sim -- --seed N --mutation NAME                     with a planted fault
 *   npm run sim -- --rest S                                     how fast a mesh at rest is, over S virtual seconds
 *   npm run sim -- --hunt [--mutation NAME]                     which seed catches each mutation; writes the table
 */
import { spawnSync } from "node:child_process";
import { parseArgs } from "node:util";
import { hunt } from "./hunt.ts";
import { mutatedProcess } from "./mutated-process.ts";
import { mutations } from "./mutations.ts";
import { pace } from "./pace.ts";
import { replay } from "./replay.ts";
import { inChunks, roam } from "./roam.ts";
import { shrink } from "./shrink.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    count: { type: "string", default: "1" },
    steps: { type: "string" },
    trace: { type: "boolean", default: false },
    minutes: { type: "string" },
    rest: { type: "string" },
    shrink: { type: "boolean", default: false },
    mutation: { type: "string" },
    hunt: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    fingerprint: { type: "boolean", default: false },
  },
});

const seed = Number(values.seed);
const count = Number(values.count);
const steps = values.steps === undefined ? Number.POSITIVE_INFINITY : Number(values.steps);
const minutes = Number(values.minutes ?? 1);
const rest = Number(values.rest ?? 1);
for (const [name, value] of Object.entries({ seed, count, steps, minutes, rest })) {
  if (Number.isNaN(value) || value < 0) {
    console.error(`--${name} has to be a number`);
    process.exit(2);
  }
}
if (values.mutation !== undefined && !mutations.some(({ name }) => name === values.mutation)) {
  console.error(`there is no mutation "${values.mutation}"`);
  process.exit(2);
}
if (values.mutation !== undefined && !values.hunt && process.env.JOBMESH_SIM_MUTATION === undefined) {
  const { args, env } = mutatedProcess(values.mutation);
  process.exit(spawnSync(process.execPath, [...args, ...process.argv.slice(2)], { stdio: "inherit", env }).status ?? 1);
}
const isGood = await (async (): Promise<boolean> => {
  if (values.hunt) return hunt(values.mutation ?? null);
  if (values.minutes !== undefined) return roam(minutes);
  if (values.rest !== undefined) return pace(rest);
  if (count > 200) return inChunks(seed, count);
  if (values.shrink) return shrink(seed, values.mutation ?? null);
  const { trace, json, fingerprint, mutation } = values;
  return replay({ seed, count, steps, trace, json, fingerprint, mutation: mutation ?? null });
})();
process.exit(isGood ? 0 : 1);
