import type { Health } from "../../port/bus.ts";
import type { Clock, Timer } from "../../port/clock.ts";
import type { Lease, Member, Registry } from "../../port/registry.ts";

/** Keep-alives in one lease, as etcd's client sends them. */
const KEEP_ALIVES_PER_LEASE = 3;

/**
 * MemoryRegistry is a registry inside one process: the embedded mesh has one,
 * and all processes of a simulated mesh share one. A member is there as long
 * as its lease is held; nothing expires while the process lives.
 */
export class MemoryRegistry implements Registry {
  readonly kind = "memory";
  readonly #clock: Clock;
  readonly #members = new Map<string, Member>();
  readonly #watches = new Set<{ name: string; onMembers: (members: readonly Member[]) => void }>();
  readonly #leases = new Set<MemoryLease>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async start(): Promise<void> {}

  async stop(): Promise<void> {
    for (const lease of [...this.#leases]) await lease.revoke();
    this.#watches.clear();
  }

  health(): Health {
    return { healthy: true, message: "" };
  }

  async register(member: Member, leaseTtlMs: number): Promise<Lease> {
    this.#put(member);
    const lease = new MemoryLease(this.#clock, leaseTtlMs / KEEP_ALIVES_PER_LEASE, {
      put: (changed) => this.#put({ ...member, ...changed }),
      remove: () => {
        this.#leases.delete(lease);
        this.#members.delete(keyOf(member));
        this.#tell(member.name);
      },
    });
    this.#leases.add(lease);
    return lease;
  }

  watch(name: string, onMembers: (members: readonly Member[]) => void): () => void {
    const watch = { name, onMembers };
    this.#watches.add(watch);
    onMembers(this.#named(name));
    return () => this.#watches.delete(watch);
  }

  #put(member: Member): void {
    this.#members.set(keyOf(member), member);
    this.#tell(member.name);
  }

  #named(name: string): readonly Member[] {
    const members = [...this.#members.values()].filter((member) => member.name === name);
    return members.sort((a, b) => (a.instance < b.instance ? -1 : 1));
  }

  #tell(name: string): void {
    const members = this.#named(name);
    for (const watch of [...this.#watches]) if (watch.name === name) watch.onMembers(members);
  }
}

function keyOf(member: Member): string {
  return `${member.name}/${member.instance}`;
}

class MemoryLease implements Lease {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #member: { put(changed: Pick<Member, "address" | "metadata">): void; remove(): void };
  #keptAliveMs: number;
  #timer: Timer | null = null;

  constructor(
    clock: Clock,
    intervalMs: number,
    member: { put(changed: Pick<Member, "address" | "metadata">): void; remove(): void },
  ) {
    this.#clock = clock;
    this.#intervalMs = intervalMs;
    this.#member = member;
    this.#keptAliveMs = clock.monotonicMs();
    this.#arm();
  }

  async update(changed: Pick<Member, "address" | "metadata">): Promise<void> {
    if (this.#timer !== null) this.#member.put(changed);
  }

  lastKeptAliveMs(): number {
    return this.#keptAliveMs;
  }

  async revoke(): Promise<void> {
    if (this.#timer === null) return;
    this.#timer.cancel();
    this.#timer = null;
    this.#member.remove();
  }

  #arm(): void {
    this.#timer = this.#clock.setTimer(this.#intervalMs, () => {
      this.#keptAliveMs = this.#clock.monotonicMs();
      this.#arm();
    });
  }
}
