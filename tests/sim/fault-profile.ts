/**
 * Which faults a run has. Each seed draws which kinds it has at all and how
 * often each comes: swarm testing (Groce and others, 2012), as a kind that is
 * always there hides what only shows without it.
 */
import type { SeededRandom } from "./random.ts";

/** Kinds of faults, and how long each lasts at most where it lasts, milliseconds. */
export const KINDS = {
  "kill a scheduler": 8_000,
  "kill an executor": 12_000,
  "cut the power": 12_000,
  "pause a process": 14_000,
  "restart a scheduler": 6_000,
  "rolling restart": 18_000,
  "drain an executor": 8_000,
  "cut a way": 14_000,
  "cut a direction": 14_000,
  "reset streams": 0,
  "slow network": 8_000,
  "store away": 6_000,
  "store hangs": 6_000,
  "store slow": 8_000,
  "store fails": 10_000,
  "kafka away": 10_000,
  "kafka deceives": 12_000,
  "kafka forgets": 0,
  "etcd away": 10_000,
  "etcd forgets": 0,
  "etcd late": 10_000,
  "kill a spawner": 0,
  "pause a spawner": 12_000,
  "step a clock": 20_000,
  "a twin": 15_000,
  "a ghost": 0,
  "split the mesh": 25_000,
} as const;

/** One kind of fault. */
export type FaultKind = keyof typeof KINDS;
/** All kinds. */
export const FAULT_KINDS = Object.keys(KINDS) as FaultKind[];

/** Which faults a run has: weights of the kinds that it has at all, and the time between two. */
export type FaultProfile = { readonly weights: Partial<Record<FaultKind, number>>; readonly gapMs: number };

/** Draws a profile: each kind is left out of about half of all runs. */
export function drawFaults(random: SeededRandom): FaultProfile {
  const weights: Partial<Record<FaultKind, number>> = {};
  for (const kind of FAULT_KINDS) {
    const weight = random.chance(0.5) ? 0 : random.skewed(0.1, 1);
    if (weight > 0) weights[kind] = weight;
  }
  return { weights, gapMs: random.skewed(400, 6_000) };
}
