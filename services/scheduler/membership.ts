import type { SchedulerId } from "../common/domain/identifier.ts";
import { SHARD_COUNT } from "../common/domain/job.ts";
import { rendezvousOwner } from "../common/domain/rendezvous.ts";
import type { Lease, Member, Registry } from "../common/port/registry.ts";
import type { SchedulerView, SchedulerViews } from "./scheduler-views.ts";

/** Name that schedulers register under. */
export const SCHEDULER_NAME = "scheduler";

/** What a scheduler says of itself. */
export type MembershipConfig = {
  readonly schedulerId: SchedulerId;
  /** "host:port" that others reach it by. */
  readonly address: string;
  readonly version: string;
  readonly startUs: number;
  readonly leaseTtlMs: number;
  readonly resultPartitions: number;
  /** It writes changes of executions to execution.v1. Default false. */
  readonly executionEvents?: boolean;
};

/**
 * Rule 30: ownership is a hint. Shards of the timers and partitions of the
 * result topic belong to the live schedulers by rendezvous hashing; a member
 * always counts itself, and while the registry is away the last view stands.
 * Two owners at once are harmless, because every change is compared in the
 * store; it only saves work. A member whose store is away owns nothing while
 * one lives whose store is there.
 */
export class Membership implements SchedulerViews {
  readonly #registry: Registry;
  readonly #config: MembershipConfig;
  readonly #listeners = new Set<() => void>();
  #members: readonly Member[] = [];
  #storeHealthy = true;
  #lease: Lease | null = null;
  #unwatch: () => void = () => {};
  #shards: readonly number[] | null = null;
  #partitions: ReadonlySet<number> | null = null;
  #views: readonly SchedulerView[] | null = null;

  constructor(registry: Registry, config: MembershipConfig) {
    this.#registry = registry;
    this.#config = config;
  }

  async start(): Promise<void> {
    this.#unwatch = this.#registry.watch(SCHEDULER_NAME, (members) => {
      this.#members = members;
      this.#changed();
    });
    const told = this.#own();
    this.#lease = await this.#registry.register(told, this.#config.leaseTtlMs);
    // The store may have gone or come back while the registry was asked.
    if (told.metadata.store !== this.#own().metadata.store) await this.#lease.update(this.#own());
  }

  async stop(): Promise<void> {
    this.#unwatch();
    const lease = this.#lease;
    this.#lease = null;
    await lease?.revoke();
  }

  /** Marks the own key when the store comes or goes. */
  async setStoreHealthy(healthy: boolean): Promise<void> {
    if (healthy === this.#storeHealthy) return;
    this.#storeHealthy = healthy;
    this.#changed();
    await this.#lease?.update(this.#own());
  }

  /** True when another live member has its store. */
  hasStoreElsewhere(): boolean {
    return this.#members.some(
      ({ instance, metadata }) => instance !== this.#config.schedulerId && metadata.store !== "false",
    );
  }

  /** Calls back when the members or their marks change; returns how to stop. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Timer shards that this scheduler owns now. */
  ownedShards(): readonly number[] {
    this.#shards ??= this.#ownedOf("shard", SHARD_COUNT);
    return this.#shards;
  }

  /** True when this scheduler owns the result partition now. */
  ownsPartition(partition: number): boolean {
    this.#partitions ??= new Set(this.#ownedOf("partition", this.#config.resultPartitions));
    return this.#partitions.has(partition);
  }

  /** How much it owns now. */
  owned(): { readonly shards: number; readonly resultPartitions: number } {
    this.#partitions ??= new Set(this.#ownedOf("partition", this.#config.resultPartitions));
    return { shards: this.ownedShards().length, resultPartitions: this.#partitions.size };
  }

  /** True when this scheduler is the one that does `task`, of which the mesh needs one. */
  ownsTask(task: string): boolean {
    return rendezvousOwner(this.#owners(), `task ${task}`) === this.#config.schedulerId;
  }

  /** True when this scheduler is the one that writes ends to execution.v1: one of those where that is switched on. */
  ownsEndedEvents(): boolean {
    const owners = this.#owners(({ metadata }) => metadata.events === "true");
    return rendezvousOwner(owners, "task events") === this.#config.schedulerId;
  }

  /** The other live schedulers. What an earlier process left under this one's address is no peer. */
  peers(): readonly SchedulerView[] {
    const { schedulerId, address } = this.#config;
    return this.all().filter((view) => view.schedulerId !== schedulerId && view.address !== address);
  }

  all(): readonly SchedulerView[] {
    this.#views ??= this.#viewsOf();
    return this.#views;
  }

  #viewsOf(): readonly SchedulerView[] {
    const owners = this.#owners();
    const counts = new Map<string, number>();
    for (let shard = 0; shard < SHARD_COUNT; shard += 1) {
      const owner = rendezvousOwner(owners, `shard ${shard}`);
      if (owner !== undefined) counts.set(owner, (counts.get(owner) ?? 0) + 1);
    }
    return this.#withSelf().map((member) => ({
      schedulerId: member.instance,
      address: member.address,
      version: member.metadata.version ?? "",
      shardCount: counts.get(member.instance) ?? 0,
      startUs: Number(member.metadata.startUs ?? 0),
    }));
  }

  #own(): Member {
    const { schedulerId, address, version, startUs, executionEvents = false } = this.#config;
    const events: Record<string, string> = executionEvents ? { events: "true" } : {};
    const metadata = { version, startUs: String(startUs), store: String(this.#storeHealthy), ...events };
    return { name: SCHEDULER_NAME, instance: schedulerId, address, metadata };
  }

  #withSelf(): readonly Member[] {
    return [...this.#members.filter(({ instance }) => instance !== this.#config.schedulerId), this.#own()];
  }

  #owners(may: (member: Member) => boolean = () => true): readonly string[] {
    const members = this.#withSelf().filter(may);
    const healthy = members.filter(({ metadata }) => metadata.store !== "false");
    return (healthy.length > 0 ? healthy : members).map(({ instance }) => instance);
  }

  #ownedOf(kind: "shard" | "partition", count: number): readonly number[] {
    const owners = this.#owners();
    const places = Array.from({ length: count }, (_, place) => place);
    return places.filter((place) => rendezvousOwner(owners, `${kind} ${place}`) === this.#config.schedulerId);
  }

  #changed(): void {
    this.#shards = null;
    this.#partitions = null;
    this.#views = null;
    for (const listener of this.#listeners) listener();
  }
}
