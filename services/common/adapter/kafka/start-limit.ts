import { BusUnavailable } from "../../port/bus.ts";
import type { Clock } from "../../port/clock.ts";

/** Runs what starts up, and rejects with BusUnavailable when it takes longer than the limit. */
export async function within(clock: Clock, limitMs: number, start: () => Promise<void>): Promise<void> {
  const late = Promise.withResolvers<never>();
  const timer = clock.setTimer(limitMs, () => {
    late.reject(new BusUnavailable(`Kafka was not reached in ${limitMs} ms`));
  });
  try {
    await Promise.race([start(), late.promise]);
  } finally {
    timer.cancel();
  }
}
