import { existsSync, readFileSync } from "node:fs";

/** What really happened, by the append-only file that each run writes outside the mesh. */
export type Truth = {
  /** Attempts that started, "EXECUTION_ID ATTEMPT", each as often as it started. */
  readonly starts: readonly string[];
  /** How many attempts of an execution started. */
  startsOf(executionId: string): number;
  /** True when an attempt of it ran to its end. */
  ended(executionId: string): boolean;
};

/** Reads the file; a last line that is not whole yet is left out. */
export function readTruth(path: string): Truth {
  const text = existsSync(path) ? readFileSync(path, "utf8") : "";
  const lines = text
    .slice(0, text.lastIndexOf("\n") + 1)
    .split("\n")
    .slice(0, -1);
  const starts: string[] = [];
  const counts = new Map<string, number>();
  const ends = new Set<string>();
  for (const line of lines) {
    const [executionId = "", attempt = "", word = ""] = line.split(" ");
    if (word === "start") {
      starts.push(`${executionId} ${attempt}`);
      counts.set(executionId, (counts.get(executionId) ?? 0) + 1);
    }
    if (word === "end") ends.add(executionId);
  }
  return {
    starts,
    startsOf: (executionId) => counts.get(executionId) ?? 0,
    ended: (executionId) => ends.has(executionId),
  };
}
