/** A mesh that falls into two parts, as when a switch between two racks fails: each backend is in one of them, or in reach of both. */
import { ETCD } from "./etcd.ts";
import { KAFKA } from "./kafka.ts";
import type { SeededRandom } from "./random.ts";
import { STORE } from "./store.ts";

/** Two machines that do not reach each other. */
export type Cut = readonly [string, string];

/** Draws the cuts of a split: each node and each backend is drawn to a part. */
export function drawSplit(random: SeededRandom, nodes: readonly string[]): readonly Cut[] {
  const hereShare = random.unit();
  const drawn = nodes.filter(() => random.chance(hereShare));
  // One alone is what loses executors.
  const here = new Set(random.chance(0.5) ? [random.pick(nodes)] : drawn);
  const cuts: Cut[] = [];
  for (const [at, node] of nodes.entries()) {
    for (const other of nodes.slice(at + 1)) if (here.has(node) !== here.has(other)) cuts.push([node, other]);
  }
  for (const backend of [STORE, KAFKA, ETCD]) {
    const part = random.pick(["here", "there", "both"]);
    if (part === "both") continue;
    for (const node of nodes) if (here.has(node) !== (part === "here")) cuts.push([node, backend]);
  }
  return cuts;
}
