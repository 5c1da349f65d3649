import type { Clock, Timer } from "../../common/port/clock.ts";
import type { MeshClock } from "../mesh-clock.ts";

/** An entry with its due time in mesh time, microseconds. */
type Entry<T> = { readonly dueUs: number; readonly value: T };

/**
 * Entries that fall due, armed to the millisecond with one timer for the
 * earliest. It is a copy of rows: what it forgets is read from the store
 * again (rule 13).
 */
export class DueTimes<T> {
  readonly #clock: Clock;
  readonly #meshClock: MeshClock;
  readonly #onDue: (values: readonly T[]) => void;
  readonly #entries = new Map<string, Entry<T>>();
  #timer: Timer | null = null;
  #armedUs = Number.POSITIVE_INFINITY;

  constructor(clock: Clock, meshClock: MeshClock, onDue: (values: readonly T[]) => void) {
    this.#clock = clock;
    this.#meshClock = meshClock;
    this.#onDue = onDue;
  }

  get size(): number {
    return this.#entries.size;
  }

  has(key: string): boolean {
    return this.#entries.has(key);
  }

  /** Arms an entry, in place of one of the same key. */
  set(key: string, dueUs: number, value: T): void {
    this.#entries.set(key, { dueUs, value });
    if (dueUs < this.#armedUs) this.#arm(dueUs);
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }

  clear(): void {
    this.#entries.clear();
    this.#timer?.cancel();
    this.#timer = null;
    this.#armedUs = Number.POSITIVE_INFINITY;
  }

  #arm(dueUs: number): void {
    this.#timer?.cancel();
    this.#armedUs = dueUs;
    const delayMs = Math.max(Math.ceil((dueUs - this.#meshClock.nowUs()) / 1000), 0);
    this.#timer = this.#clock.setTimer(delayMs, () => this.#fire());
  }

  #fire(): void {
    const nowUs = this.#meshClock.nowUs();
    const due: Entry<T>[] = [];
    let earliestUs = Number.POSITIVE_INFINITY;
    for (const [key, entry] of this.#entries) {
      if (entry.dueUs <= nowUs) {
        due.push(entry);
        this.#entries.delete(key);
      } else if (entry.dueUs < earliestUs) {
        earliestUs = entry.dueUs;
      }
    }
    this.#timer = null;
    this.#armedUs = Number.POSITIVE_INFINITY;
    if (earliestUs !== Number.POSITIVE_INFINITY) this.#arm(earliestUs);
    due.sort((a, b) => a.dueUs - b.dueUs);
    if (due.length > 0) this.#onDue(due.map(({ value }) => value));
  }
}
