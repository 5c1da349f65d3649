/**
 * A simulated process and the clock it sees. It can be killed at any await: its
 * timers, messages and the store's answers are events that then never happen.
 * It can be paused: they wait, and happen one after the other when it goes on,
 * as after SIGSTOP. Time passes for it all the same.
 */
import type { Clock, Timer } from "../../services/common/port/clock.ts";
import { sleepOn } from "../../services/common/runtime/sleep.ts";
import type { Timeline } from "./timeline.ts";

/** Where wall clocks start: 2026-01-01T00:00:00Z in microseconds. */
export const START_US = 1_767_225_600_000_000;

/** The clock hardware of one machine; its processes share it. Times in milliseconds. */
export class MachineTime {
  readonly #timeline: Timeline;
  /** Its seconds are this much of a true one. */
  readonly rate: number;
  /** How far its wall clock is off. */
  offsetMs: number;

  constructor(timeline: Timeline, rate: number, offsetMs: number) {
    this.#timeline = timeline;
    this.rate = rate;
    this.offsetMs = offsetMs;
  }

  /** A clock of the machine that never steps. */
  monotonicMs(): number {
    return this.#timeline.nowMs * this.rate;
  }

  wallUs(): number {
    return START_US + Math.round((this.monotonicMs() + this.offsetMs) * 1_000);
  }
}

/** SimProcess is one process on a machine, and the Clock that its code is handed. */
export class SimProcess implements Clock {
  readonly name: string;
  readonly #timeline: Timeline;
  readonly #machine: MachineTime;
  readonly #waiting: (() => void)[] = [];
  readonly #mourners: (() => void)[] = [];
  #isAlive = true;
  #isPaused = false;
  /** Its machine lost power: nobody closed its connections. */
  diedSilently = false;
  /** When it last was made to go on after a pause; -Infinity when it never was. */
  resumedMs = Number.NEGATIVE_INFINITY;
  /** How long it stood still until then, milliseconds. */
  stoodStillMs = 0;
  /** Since when it is dead, or stands still; Infinity while it goes on. */
  silentSinceMs = Number.POSITIVE_INFINITY;

  constructor(name: string, timeline: Timeline, machine: MachineTime) {
    this.name = name;
    this.#timeline = timeline;
    this.#machine = machine;
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  wallUs(): number {
    return this.#machine.wallUs();
  }

  monotonicMs(): number {
    return this.#machine.monotonicMs();
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    const timer = { isOff: false };
    const fire = (): void => {
      if (!timer.isOff) callback();
    };
    // Whole milliseconds, at least one, as Node's.
    const wholeMs = delayMs <= 0 ? 0 : Math.max(Math.trunc(delayMs), 1);
    const pending = this.#timeline.after(wholeMs / this.#machine.rate, () => this.happen(fire));
    return {
      cancel: () => {
        timer.isOff = true;
        pending.isOff = true;
      },
    };
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return sleepOn(this, delayMs, signal);
  }

  /** Lets something happen to the process after a while of true time: a message, an answer. */
  deliver(delayMs: number, run: () => void): void {
    this.#timeline.after(delayMs, () => this.happen(run));
  }

  /** Now; later when it is paused; never when it is dead. */
  happen(run: () => void): void {
    if (!this.#isAlive) return;
    if (this.#isPaused) this.#waiting.push(run);
    else run();
  }

  /** Calls back when it dies, outside of it: the kernel that closes its sockets. At once if it is dead. */
  onDeath(mourner: () => void): void {
    if (this.#isAlive) this.#mourners.push(mourner);
    else mourner();
  }

  /** SIGKILL; or, silently, the end of its machine's power. */
  kill(silently = false): void {
    if (!this.#isAlive) return;
    this.#isAlive = false;
    this.silentSinceMs = this.#timeline.nowMs;
    this.diedSilently = silently;
    this.#waiting.length = 0;
    for (const mourner of this.#mourners.splice(0)) mourner();
  }

  /** SIGSTOP. */
  pause(): void {
    if (!this.#isPaused) this.silentSinceMs = this.#timeline.nowMs;
    this.#isPaused = true;
  }

  /** SIGCONT: what waited happens, each an event of its own. */
  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.resumedMs = this.#timeline.nowMs;
    this.stoodStillMs = this.resumedMs - this.silentSinceMs;
    this.silentSinceMs = Number.POSITIVE_INFINITY;
    for (const run of this.#waiting.splice(0)) this.#timeline.after(0, () => this.happen(run));
  }
}
