import type { Clock, Timer } from "../../common/port/clock.ts";
import type { MeshClock } from "../mesh-clock.ts";
import { DueHeap } from "./due-heap.ts";

/** An entry with its due time in mesh time, microseconds. `gone` when another one took its place, or it was deleted. */
type Entry<T> = { readonly key: string; readonly dueUs: number; value: T; gone: boolean };

/**
 * Nothing is due before the store's clock says so too, or the store would take
 * what comes early for something that still has to wait. The most that is
 * waited for it.
 */
const MAX_WAIT_FOR_STORE_US = 5_000;

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
  readonly #heap = new DueHeap<Entry<T>>();
  #timer: Timer | null = null;
  #armedUs = Number.POSITIVE_INFINITY;

  /** @param onDue is given what is due, earliest first */
  constructor(clock: Clock, meshClock: MeshClock, onDue: (values: readonly T[]) => void) {
    this.#clock = clock;
    this.#meshClock = meshClock;
    this.#onDue = onDue;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Arms an entry, in place of one of the same key. */
  set(key: string, dueUs: number, value: T): void {
    const known = this.#entries.get(key);
    if (known?.dueUs === dueUs) {
      known.value = value;
      return;
    }
    if (known !== undefined) known.gone = true;
    const entry = { key, dueUs, value, gone: false };
    this.#entries.set(key, entry);
    this.#heap.push(entry);
    this.#arm();
  }

  delete(key: string): void {
    const known = this.#entries.get(key);
    if (known === undefined) return;
    known.gone = true;
    this.#entries.delete(key);
  }

  /** Arms by what mesh time is now: to be called now and then, as mesh time may have stepped on. */
  rearm(): void {
    this.#disarm();
    this.#arm();
  }

  clear(): void {
    this.#entries.clear();
    this.#heap.clear();
    this.#disarm();
  }

  #disarm(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#armedUs = Number.POSITIVE_INFINITY;
  }

  /** The earliest entry that counts. */
  #first(): Entry<T> | undefined {
    while (this.#heap.peek()?.gone) this.#heap.pop();
    return this.#heap.peek();
  }

  #arm(): void {
    const first = this.#first();
    if (first === undefined || first.dueUs === this.#armedUs) return;
    this.#disarm();
    this.#armedUs = first.dueUs;
    const delayMs = Math.max(Math.ceil((first.dueUs - this.#storeUs()) / 1000), 0);
    this.#timer = this.#clock.setTimer(delayMs, () => this.#fire());
  }

  /** What the store's clock has reached at least. */
  #storeUs(): number {
    return this.#meshClock.nowUs() - Math.min(Math.round(this.#meshClock.uncertaintyUs()), MAX_WAIT_FOR_STORE_US);
  }

  #fire(): void {
    this.#disarm();
    const nowUs = this.#storeUs();
    const due: T[] = [];
    for (let first = this.#first(); first !== undefined && first.dueUs <= nowUs; first = this.#first()) {
      this.#heap.pop();
      this.#entries.delete(first.key);
      due.push(first.value);
    }
    this.#arm();
    if (due.length > 0) this.#onDue(due);
  }
}
