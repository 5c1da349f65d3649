import type { Metrics } from "./metrics.ts";

/** Metrics of a process that serves them; the SDK is loaded here and nowhere else. */
export async function createMetrics(process: {
  readonly serviceName: string;
  readonly instanceId: string;
  readonly version: string;
}): Promise<Metrics> {
  const { SdkMetrics } = await import("./sdk-metrics.ts");
  return new SdkMetrics(process);
}
