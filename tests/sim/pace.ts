/** How fast the simulation is where nothing happens but what a mesh does by itself. */
import { World } from "./world.ts";

/** Registered, at home, and done with what starting brings. */
const WARM_UP_MS = 5_000;

/** Runs 3 schedulers and 4 executors at rest for so many virtual seconds; says how many times real time on one core. */
export async function pace(seconds: number): Promise<boolean> {
  const bugs: unknown[] = [];
  const world = await World.make(
    { seed: 3, schedulers: 3, executors: 4, write: null },
    { committed: () => {}, bug: (_who, error) => bugs.push(error) },
  );
  world.start();
  const { timeline } = world.around;
  await timeline.runUntil(WARM_UP_MS, () => false);
  const before = process.cpuUsage();
  await timeline.runUntil(WARM_UP_MS + seconds * 1_000, () => false);
  const { user, system } = process.cpuUsage(before);
  const cpuSeconds = (user + system) / 1e6;
  console.log(
    `${seconds} virtual seconds at rest in ${cpuSeconds.toFixed(2)} s of CPU: ${Math.round(seconds / cpuSeconds)} times real time`,
  );
  for (const bug of bugs) console.error(bug);
  return bugs.length === 0;
}
