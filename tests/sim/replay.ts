/** Runs seeds one after the other and says what became of them. */
import { type RunReport, run } from "./run.ts";

/** What to run. */
export type ReplayOptions = {
  readonly seed: number;
  readonly count: number;
  /** Events after which faults and load end. */
  readonly steps: number;
  /** Writes the whole history. */
  readonly trace: boolean;
  /** One line of JSON for each seed that failed, and none else. */
  readonly json: boolean;
  /** With json: one line for each seed, with the fingerprint of its history. */
  readonly fingerprint: boolean;
  readonly mutation: string | null;
};

/** A failed seed as JSON. */
export type FailedSeed = { readonly seed: number; readonly checker: string; readonly what: string };

/** Runs until the first seed that fails; false then. */
export async function replay(options: ReplayOptions): Promise<boolean> {
  const startMs = performance.now();
  let virtualMs = 0;
  let executions = 0;
  for (let seed = options.seed; seed < options.seed + options.count; seed++) {
    const write = options.trace ? { write: (line: string) => void process.stdout.write(`${line}\n`) } : {};
    const report = await run({ seed, steps: options.steps, ...write });
    virtualMs += report.virtualMs;
    executions += report.executions;
    if (options.fingerprint) console.log(JSON.stringify({ seed, fingerprint: report.fingerprint }));
    if (report.verdict !== null) {
      const { checker, what } = report.verdict;
      if (options.json) console.log(JSON.stringify({ seed, checker, what } satisfies FailedSeed));
      else console.log(failureText(report, options.mutation));
      return false;
    }
  }
  const speed = Math.round(virtualMs / (performance.now() - startMs));
  if (!options.json) {
    const hours = (virtualMs / 3_600_000).toFixed(2);
    console.log(
      `${options.count} seeds, ${executions} executions in ${hours} virtual hours, ${speed} times real time: no promise broken`,
    );
  }
  return true;
}

/** What a person needs to know of a seed that failed. */
export function failureText(report: RunReport, mutation: string | null): string {
  const { seed, verdict, lastLines } = report;
  const planted = mutation === null ? "" : ` --mutation "${mutation}"`;
  return [
    ...lastLines.map((line) => `  ${line}`),
    `seed ${seed}, at ${verdict?.atMs.toFixed(3)} ms: broken is "${verdict?.checker}"`,
    `  ${verdict?.what}`,
    `  npm run sim -- --seed ${seed}${planted} --trace`,
  ].join("\n");
}
