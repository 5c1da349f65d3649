import { performance } from "node:perf_hooks";
import type { Clock, Timer } from "../port/clock.ts";
import { sleepOn } from "./sleep.ts";

/** Longest delay that Node's timers take; a longer one is armed again. */
const MAX_TIMER_MS = 2_147_483_647;

/** The machine's own clock. */
export class SystemClock implements Clock {
  wallUs(): number {
    return Math.floor((performance.timeOrigin + performance.now()) * 1000) + this.#drift();
  }

  monotonicMs(): number {
    return performance.now();
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    if (delayMs <= 0) return nextTurn(callback);
    let handle: NodeJS.Timeout;
    const arm = (leftMs: number): void => {
      const stepMs = Math.min(Math.max(leftMs, 0), MAX_TIMER_MS);
      handle = setTimeout(() => (leftMs > stepMs ? arm(leftMs - stepMs) : callback()), stepMs);
    };
    arm(delayMs);
    return { cancel: () => clearTimeout(handle) };
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return sleepOn(this, delayMs, signal);
  }

  /**
   * performance.now() does not follow steps of the wall clock. Where Date.now()
   * has moved away by more than its own millisecond, its step is taken over.
   */
  #drift(): number {
    const offsetMs = Date.now() - (performance.timeOrigin + performance.now());
    return Math.abs(offsetMs) > 2 ? Math.round(offsetMs * 1000) : 0;
  }
}

/** Without a delay: the next turn of the event loop, where setTimeout would wait a whole millisecond. */
function nextTurn(callback: () => void): Timer {
  const handle = setImmediate(callback);
  return { cancel: () => clearImmediate(handle) };
}
