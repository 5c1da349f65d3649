import { BusUnavailable, type SchedulerBus } from "../common/port/bus.ts";
import type { Clock } from "../common/port/clock.ts";
import type { Logger } from "../common/runtime/log.ts";

/** How long a scheduler's start waits for the bus: an empty Kafka takes seconds to make the topics. */
const PATIENCE_MS = 20_000;
/** Between two tries while the bus is away. */
const RETRY_MS = 5_000;

/**
 * Starts the bus. While Kafka is away a scheduler starts all the same: work and
 * results go by the sessions, and the bus joins when it is there. Rejects when
 * Kafka is there and unsuitable.
 *
 * @param signal ends the tries that go on in the background
 */
export async function startBus(
  bus: SchedulerBus,
  deps: { readonly clock: Clock; readonly log: Logger },
  signal: AbortSignal,
): Promise<void> {
  const { clock, log } = deps;
  const waited = new AbortController();
  let isLate = false;
  const tries = (async (): Promise<void> => {
    for (;;) {
      try {
        await bus.start();
        if (isLate) log.info({}, "Kafka is there: work and results go by it again");
        return;
      } catch (error) {
        if (!(error instanceof BusUnavailable)) throw error;
        if (!isLate) waited.abort();
        await clock.sleep(RETRY_MS, signal);
        if (signal.aborted) return;
      }
    }
  })();
  await Promise.race([tries, clock.sleep(PATIENCE_MS, waited.signal)]);
  isLate = true;
  if (bus.health().healthy) return;
  log.warn({}, "Kafka is away: work and results go by the sessions until it is there");
  tries.catch((error: unknown) => log.error({ err: error }, "Kafka cannot be used as it is"));
}
