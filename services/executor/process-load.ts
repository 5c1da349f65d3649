import type { Clock } from "../common/port/clock.ts";
import type { ProcessLoad } from "./beats.ts";

/** Between two measurements; beats in between say the last one again. */
const MEASURE_MS = 1_000;

/** Measures this process: processors as a part of those that the machine has, resident memory. */
export function processLoad(clock: Clock, processors: number): () => ProcessLoad {
  let load: ProcessLoad = { cpuLoad: 0, memoryBytes: process.memoryUsage.rss() };
  let usage = process.cpuUsage();
  let takenMs = clock.monotonicMs();
  return () => {
    const nowMs = clock.monotonicMs();
    if (nowMs - takenMs < MEASURE_MS) return load;
    const { user, system } = process.cpuUsage(usage);
    const cpuLoad = Math.min((user + system) / 1000 / (nowMs - takenMs) / Math.max(processors, 1), 1);
    usage = process.cpuUsage();
    takenMs = nowMs;
    load = { cpuLoad, memoryBytes: process.memoryUsage.rss() };
    return load;
  };
}
