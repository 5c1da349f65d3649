/** Makes a failing seed smaller: kinds of faults, kinds of load and time are left out while it still fails. */
import type { LoadProfile } from "./demand.ts";
import { FAULT_KINDS } from "./fault-profile.ts";
import { failureText } from "./replay.ts";
import { type RunReport, run } from "./run.ts";
import type { RunShape } from "./run-shape.ts";

/** Shrinks and prints what is left; false, as the seed fails. True when it does not. */
export async function shrink(seed: number, mutation: string | null): Promise<boolean> {
  const first = await run({ seed });
  if (first.verdict === null) {
    console.log(`seed ${seed} breaks no promise`);
    return true;
  }
  let shape = first.shape;
  let report = first;
  for (const smaller of steps()) {
    const next = smaller(shape);
    if (next === null) continue;
    const tried = await run({ seed, shape: () => next });
    if (tried.verdict?.checker !== first.verdict.checker) continue;
    [shape, report] = [next, tried];
  }
  tell(report, shape, mutation);
  return false;
}

/** Each makes a shape smaller in one way; null when there is nothing to leave out. */
function* steps(): Generator<(shape: RunShape) => RunShape | null> {
  // What is left out moves what is drawn for the rest, so the large steps come first: none at all, one alone.
  yield ({ faults, ...rest }) => ({ ...rest, faults: { ...faults, weights: {} } });
  for (const kind of FAULT_KINDS) {
    yield ({ faults, ...rest }) => {
      const weight = faults.weights[kind];
      if (weight === undefined || Object.keys(faults.weights).length === 1) return null;
      return { ...rest, faults: { ...faults, weights: { [kind]: weight } } };
    };
  }
  for (const kind of FAULT_KINDS) {
    yield ({ faults, ...rest }) => {
      if (faults.weights[kind] === undefined) return null;
      const { [kind]: _left, ...weights } = faults.weights;
      return { ...rest, faults: { ...faults, weights } };
    };
  }
  for (const name of [
    "jobs",
    "jobChanges",
    "cancels",
    "laterShare",
    "failShare",
    "timeoutShare",
    "deafShare",
    "commandShare",
  ] as const) {
    yield ({ load, ...rest }) =>
      load[name] === 0 ? null : { ...rest, load: { ...load, [name]: 0 } satisfies LoadProfile };
  }
  for (let halving = 0; halving < 3; halving++) {
    yield (shape) => ({ ...shape, stormMs: shape.stormMs * 0.7 });
    yield ({ load, ...rest }) => ({ ...rest, load: { ...load, gapMs: load.gapMs * 2 } });
  }
}

function tell(report: RunReport, shape: RunShape, mutation: string | null): void {
  console.log(failureText(report, mutation));
  console.log(
    `what is left: faults ${JSON.stringify(shape.faults)}, load ${JSON.stringify(shape.load)}, ${Math.round(shape.stormMs)} ms`,
  );
}
