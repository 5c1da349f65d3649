import { monitorEventLoopDelay, performance } from "node:perf_hooks";
import type { Metrics } from "./metrics.ts";

/** How often the event loop is looked at; a shorter delay than this cannot be seen. */
const RESOLUTION_MS = 10;

/** Shows the process itself: processor, memory, event loop. Returns what ends it. */
export function showProcess(metrics: Metrics): () => void {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  const cpu = metrics.counter("process_cpu_seconds_total", {});
  let counted = 0;
  const ends = [
    metrics.gauge("process_resident_memory_bytes", {}, () => {
      const { user, system } = process.cpuUsage();
      const seconds = (user + system) / 1e6;
      cpu.add(seconds - counted);
      counted = seconds;
      return process.memoryUsage.rss();
    }),
    metrics.gauge("process_start_time_seconds", {}, () => performance.timeOrigin / 1_000),
    metrics.gauge("jobmesh_event_loop_delay_seconds", {}, () => {
      const longest = Math.max(0, delay.max / 1e9 - RESOLUTION_MS / 1e3);
      delay.reset();
      return longest;
    }),
  ];
  return () => {
    delay.disable();
    for (const end of ends) end();
  };
}
