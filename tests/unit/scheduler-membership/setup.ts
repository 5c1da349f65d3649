/** Members of a mesh on one memory registry. */
import type { SchedulerId } from "../../../services/common/domain/identifier.ts";
import type { Lease, Member, Registry } from "../../../services/common/port/registry.ts";
import { Membership } from "../../../services/scheduler/membership.ts";

/** A registry that a test moves: it keeps members, and can be away, when watchers see no change. */
export class TestRegistry implements Registry {
  readonly kind = "memory";
  away = false;
  readonly members = new Map<string, Member>();
  readonly #watches = new Set<{ readonly name: string; readonly onMembers: (members: readonly Member[]) => void }>();

  async start(): Promise<void> {}
  async stop(): Promise<void> {}

  health() {
    return { healthy: !this.away, message: "" };
  }

  /** As EtcdRegistry: while it is away a member is put later. */
  async register(member: Member): Promise<Lease> {
    const key = `${member.name}/${member.instance}`;
    let now = member;
    const put = (): void => {
      this.members.set(key, now);
      this.tell();
    };
    put();
    return {
      update: async (changed) => {
        now = { ...now, ...changed };
        put();
      },
      lastKeptAliveMs: () => null,
      revoke: async () => {
        this.members.delete(key);
        this.tell();
      },
    };
  }

  watch(name: string, onMembers: (members: readonly Member[]) => void): () => void {
    const watch = { name, onMembers };
    this.#watches.add(watch);
    if (!this.away) onMembers(this.#named(name));
    return () => this.#watches.delete(watch);
  }

  /** Tells all watchers what is there now. */
  tell(): void {
    if (this.away) return;
    for (const { name, onMembers } of this.#watches) onMembers(this.#named(name));
  }

  #named(name: string): Member[] {
    return [...this.members.values()].filter((member) => member.name === name);
  }
}

/** A member that is not started. */
export function newMember(
  registry: Registry,
  schedulerId: string,
  given: { readonly address?: string; readonly executionEvents?: boolean } = {},
): Membership {
  return new Membership(registry, {
    schedulerId: schedulerId as SchedulerId,
    address: `${schedulerId}:7070`,
    ...given,
    version: "1",
    startUs: 7,
    leaseTtlMs: 5_000,
    resultPartitions: 16,
  });
}
