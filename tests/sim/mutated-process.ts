/** A process of the simulation whose code has a mutation. */
import { join } from "node:path";

/** How it is started: Node's arguments up to the main, and its environment. */
export function mutatedProcess(mutation: string): {
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
} {
  return {
    args: ["--import", join(import.meta.dirname, "mutate.ts"), join(import.meta.dirname, "main.ts")],
    env: { ...process.env, JOBMESH_SIM_MUTATION: mutation },
  };
}
