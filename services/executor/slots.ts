import type { Capability } from "../common/domain/executor.ts";
import type { SlotCount } from "../common/domain/session.ts";

/**
 * Rule 20: room, counted for the whole executor and for each capability that
 * has slots of its own. An attempt holds a slot until its result is in Kafka or
 * sent by the session; what does not fit comes back at once.
 */
export class Slots {
  readonly #total: number;
  /** Slots of each capability; infinite where it has none of its own. */
  readonly #limits: readonly number[];
  readonly #heldOf: number[];
  readonly #receivedOf: number[];
  #held = 0;
  #received = 0;
  #closed = false;

  constructor(total: number, capabilities: readonly Capability[]) {
    this.#total = total;
    this.#limits = capabilities.map((each) =>
      each.kind === "handler" && each.slots > 0 ? each.slots : Number.POSITIVE_INFINITY,
    );
    this.#heldOf = capabilities.map(() => 0);
    this.#receivedOf = capabilities.map(() => 0);
  }

  /** Slots that something holds. */
  get held(): number {
    return this.#held;
  }

  /** True while the executor takes no work; then there is no room. */
  get closed(): boolean {
    return this.#closed;
  }

  set closed(closed: boolean) {
    this.#closed = closed;
  }

  /** Takes a slot of the executor and of the capability; false when there is none. */
  hold(capability: number): boolean {
    const heldOf = this.#heldOf[capability] ?? 0;
    if (this.#closed || this.#held >= this.#total || heldOf >= (this.#limits[capability] ?? 0)) return false;
    this.#held++;
    this.#heldOf[capability] = heldOf + 1;
    return true;
  }

  release(capability: number): void {
    this.#held--;
    this.#heldOf[capability] = (this.#heldOf[capability] ?? 1) - 1;
  }

  /** A key came under the present session for the first time. */
  received(): void {
    this.#received++;
  }

  /** Likewise for its capability, which a stop does not name. */
  receivedFor(capability: number): void {
    this.#receivedOf[capability] = (this.#receivedOf[capability] ?? 0) + 1;
  }

  /** Another Hello: its home counts from nothing. */
  newSession(): void {
    this.#received = 0;
    this.#receivedOf.fill(0);
  }

  /** What a heartbeat says. @param takesWork False where something else than slots keeps work out. */
  counts(takesWork: boolean): SlotCount[] {
    const closed = this.#closed || !takesWork;
    const free = closed ? 0 : this.#total - this.#held;
    const counts: SlotCount[] = [{ capabilityIndex: null, free, receivedCount: this.#received }];
    for (const [index, limit] of this.#limits.entries()) {
      if (limit === Number.POSITIVE_INFINITY) continue;
      const freeOf = closed ? 0 : limit - (this.#heldOf[index] ?? 0);
      counts.push({ capabilityIndex: index, free: freeOf, receivedCount: this.#receivedOf[index] ?? 0 });
    }
    return counts;
  }
}
