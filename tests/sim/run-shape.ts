/**
 * What a seed draws of its run: load, faults and how long they go on. Nine
 * seeds in ten are dense, as faults meet in moments. The tenth is slow: minutes
 * that are mostly quiet, in which clocks drift apart, keys are forgotten and
 * what is done once a minute is done.
 */
import { drawLoad, type LoadProfile } from "./demand.ts";
import { drawFaults, type FaultProfile } from "./fault-profile.ts";
import type { SeededRandom } from "./random.ts";

/** What a seed drew. */
export type RunShape = {
  readonly load: LoadProfile;
  readonly faults: FaultProfile;
  /** How long load and faults go on, virtual milliseconds. */
  readonly stormMs: number;
  /** How much slower than in a dense run everything comes: 1 there. */
  readonly slowness: number;
};

const SLOW_SHARE = 0.1;
const SLOWNESS = 30;

/** Draws the shape of a run. */
export function drawShape(random: SeededRandom): RunShape {
  const load = drawLoad(random.branch("load profile"));
  const faults = drawFaults(random.branch("fault profile"));
  const stormMs = random.branch("storm").between(15_000, 45_000);
  if (!random.branch("density").chance(SLOW_SHARE)) return { load, faults, stormMs, slowness: 1 };
  return {
    load: { ...load, gapMs: load.gapMs * SLOWNESS, shortestPeriodMs: load.shortestPeriodMs * SLOWNESS },
    faults: { ...faults, gapMs: faults.gapMs * SLOWNESS },
    stormMs: stormMs * SLOWNESS,
    slowness: SLOWNESS,
  };
}
