import { JobmeshError } from "../../common/error/jobmesh-error.ts";
import type { Clock } from "../../common/port/clock.ts";
import { StoreUnavailable } from "../../common/port/store.ts";

const FIRST_WAIT_MS = 100;
const MAX_WAIT_MS = 2_000;

/** The error that ends a session: a store that is away is UNAVAILABLE, and the executor tries another scheduler. */
export function sessionError(thrown: unknown): JobmeshError {
  return thrown instanceof StoreUnavailable
    ? new JobmeshError("STORE_UNAVAILABLE", { cause: thrown })
    : JobmeshError.from(thrown);
}

/** Does something that can be done twice until the store answers, waiting longer each time. Gives up when the signal aborts. */
export async function untilStored<T>(clock: Clock, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(waitMs * 2, MAX_WAIT_MS)) {
    try {
      return await work();
    } catch (thrown) {
      if (!isPassing(thrown) || signal.aborted) throw thrown;
    }
    await clock.sleep(waitMs, signal);
  }
}

/** The store is away, or too much waits for it. */
function isPassing(thrown: unknown): boolean {
  return thrown instanceof StoreUnavailable || (thrown instanceof JobmeshError && thrown.reason === "OVERLOADED");
}
