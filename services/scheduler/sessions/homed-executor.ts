import type { DispatchOrder } from "../../common/domain/dispatch.ts";
import type { ExecutorProfile } from "../../common/domain/executor.ts";
import { SlotLedger } from "./slot-ledger.ts";

/** The way down to an executor: its session. */
export interface SessionLink {
  /** Sends an order down the session; false when the session is over, and then its next home sends it (rule 19). */
  sendOrder(order: DispatchOrder): boolean;
}

/** HomedExecutor is an executor whose session this scheduler holds, with what decides whether it gets work. */
export class HomedExecutor {
  readonly profile: ExecutorProfile;
  readonly sessionNumber: number;
  readonly link: SessionLink;
  /** Takes no more work: it leaves, or was asked to. */
  draining = false;
  /** Nothing was heard of it for the suspect time. */
  suspect = false;
  /** Its registry key is there, or was when the registry was last seen. Always true for one without a key. */
  present = true;
  /** Rule 20: an attempt came back for want of room; until the next beat it gets nothing. */
  full = false;
  /** Room of the executor as a whole. */
  readonly slots = new SlotLedger();
  /** Room of capabilities that have slots of their own, by their place in the profile. */
  readonly limited: ReadonlyMap<number, SlotLedger>;

  constructor(profile: ExecutorProfile, sessionNumber: number, link: SessionLink) {
    this.profile = profile;
    this.sessionNumber = sessionNumber;
    this.link = link;
    const limited = new Map<number, SlotLedger>();
    for (const [index, capability] of profile.capabilities.entries()) {
      if (capability.kind === "handler" && capability.slots > 0) limited.set(index, new SlotLedger());
    }
    this.limited = limited;
  }

  /** True when it may be given work at all. */
  get open(): boolean {
    return !this.draining && !this.suspect && this.present && !this.full;
  }

  /** Slots that it has now for a capability without slots of its own. */
  get room(): number {
    return this.open ? this.slots.room : 0;
  }
}
