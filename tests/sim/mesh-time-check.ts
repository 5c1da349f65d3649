/** Rule 12: executors know the store's time, whatever the clocks of their machines say. */
import type { ExecutorNode } from "./executor-node.ts";
import type { RestingMesh } from "./last-checks.ts";
import type { Run } from "./record.ts";
import { promise } from "./verdict.ts";

/** Half a round trip in the slowest weather, and some drift. */
const TOLERANCE_MS = 2_500;
/** A process that has been at home for so many looks has heard the time, and better than once. */
const LOOKS = 2;
/** What it hears in its first moments after a pause is old. */
const AWAKE_MS = 3_000;

/** Executors' processes that were at home at so many looks in a row. */
export type LooksAtHome = Map<string, number>;

/** Looks at the executors that are at home. To be asked now and then. */
export function checkMeshTime({ around, executors }: RestingMesh, looks: LooksAtHome): void {
  const before = new Map(looks);
  looks.clear();
  for (const node of executors) {
    const offMs = errorOf(node, around.store.nowUs());
    if (offMs === null || node.process === null) continue;
    const count = (before.get(node.process.name) ?? 0) + 1;
    looks.set(node.process.name, count);
    const isAwake = around.timeline.nowMs - node.process.resumedMs > AWAKE_MS;
    promise(
      "executors know mesh time",
      count <= LOOKS || !isAwake || Math.abs(offMs) < TOLERANCE_MS,
      () => `${node.name} is off by ${offMs} ms`,
    );
  }
}

/** How far off mesh time is there; null where no executor is at home. */
function errorOf({ process, executor }: ExecutorNode, storeUs: number): number | null {
  if (process === null || process.isPaused || executor?.status.homed !== true) return null;
  return (process.wallUs() - storeUs) / 1_000 + executor.status.meshOffsetMs;
}

/** How far off mesh time is at an executor now, milliseconds; what is to be borne where none runs. */
export function meshErrorMs(node: ExecutorNode | undefined, storeUs: number): number {
  const { process = null, executor = null } = node ?? {};
  if (process === null || executor === null) return TOLERANCE_MS;
  return Math.abs(process.wallUs() + executor.status.meshOffsetMs * 1_000 - storeUs) / 1_000;
}

/** How late by the store's clock an executor may start what has a start deadline: it goes by mesh time as it knows it. */
export function mayStartLateMs(node: ExecutorNode | undefined, { kind, startMs }: Run, storeUs: number): number {
  if (kind !== "command") return meshErrorMs(node, storeUs);
  // A command starts a little later, in its spawner; what that one was told before it stood still, when it goes on.
  const spawner = node?.system.spawner;
  const hasJustWoken = spawner !== undefined && startMs - spawner.resumedMs < TOLERANCE_MS;
  return meshErrorMs(node, storeUs) + TOLERANCE_MS + (hasJustWoken ? spawner.stoodStillMs : 0);
}
