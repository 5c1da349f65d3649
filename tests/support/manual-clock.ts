import type { Clock, Timer } from "../../services/common/port/clock.ts";
import { sleepOn } from "../../services/common/runtime/sleep.ts";

/** Where a manual clock starts: 2026-01-01T00:00:00Z in microseconds. */
export const MANUAL_CLOCK_START_US = 1_767_225_600_000_000;

type Armed = { readonly atMs: number; readonly order: number; readonly callback: () => void };

/**
 * A clock that moves only when a test moves it. Timers fire in order of their
 * time, each seeing its own instant; between two of them everything that can
 * run without time passing runs. A timer without delay fires by itself at the
 * next turn of the event loop, as the system's does.
 */
export class ManualClock implements Clock {
  #nowMs = 0;
  #order = 0;
  readonly #startUs: number;
  readonly #armed = new Set<Armed>();

  constructor(startUs: number = MANUAL_CLOCK_START_US) {
    this.#startUs = startUs;
  }

  wallUs(): number {
    return this.#startUs + Math.round(this.#nowMs * 1_000);
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  /** Timers that wait; 0 after everything was stopped. */
  get armedCount(): number {
    return this.#armed.size;
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    this.#order += 1;
    const armed: Armed = { atMs: this.#nowMs + Math.max(delayMs, 0), order: this.#order, callback };
    this.#armed.add(armed);
    if (delayMs <= 0) setImmediate(() => this.#fire(armed));
    return { cancel: () => void this.#armed.delete(armed) };
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return sleepOn(this, delayMs, signal);
  }

  /** Moves time on; resolves when everything due has run and settled. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    await this.settle();
    for (;;) {
      const next = this.#nextDue(untilMs);
      if (next === undefined) break;
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      this.#fire(next);
      await this.settle();
    }
    this.#nowMs = untilMs;
    await this.settle();
  }

  /** Lets everything run that needs no time to pass. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 5; turn += 1) await new Promise<void>((resolve) => setImmediate(resolve));
  }

  #fire(armed: Armed): void {
    if (this.#armed.delete(armed)) armed.callback();
  }

  #nextDue(untilMs: number): Armed | undefined {
    let next: Armed | undefined;
    for (const armed of this.#armed) {
      if (armed.atMs > untilMs) continue;
      if (next === undefined || armed.atMs < next.atMs || (armed.atMs === next.atMs && armed.order < next.order)) {
        next = armed;
      }
    }
    return next;
  }
}
