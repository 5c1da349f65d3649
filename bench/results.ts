import type { Lateness } from "./lateness.ts";
import type { BenchMesh } from "./mesh.ts";
import type { Latencies } from "./statistics.ts";
import type { Throughput } from "./throughput.ts";

/** What one mesh gave. */
export type MeshResults = {
  readonly mesh: BenchMesh["name"];
  /** Rounds in a row; the median stands in the table. */
  readonly throughput: readonly Throughput[];
  readonly start: Latencies;
  readonly eachSecond: Lateness;
  readonly sameSecond: Lateness;
};

/** Where and of what it was measured. */
export type BenchResults = {
  readonly commit: string;
  readonly machine: string;
  readonly node: string;
  readonly time: string;
  readonly meshes: readonly MeshResults[];
};
