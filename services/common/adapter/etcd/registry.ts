import { assert } from "../../domain/assert.ts";
import { IDENTIFIER_PATTERN } from "../../domain/identifier.ts";
import type { Health } from "../../port/bus.ts";
import type { Clock } from "../../port/clock.ts";
import type { Lease, Member, Registry } from "../../port/registry.ts";
import type { Logger } from "../../runtime/log.ts";
import type { EtcdTls } from "../../security/link-security.ts";
import type { EtcdCalls } from "./etcd-calls.ts";
import { EtcdLease } from "./lease.ts";
import { MemberWatch } from "./member-watch.ts";
import { namePrefix } from "./naming.ts";
import { Pulse } from "./pulse.ts";

/** What an EtcdRegistry needs. */
export type EtcdRegistryDeps = {
  readonly clock: Clock;
  readonly log: Logger;
  /** Closed by the registry's stop. */
  readonly client: EtcdCalls;
};

/** Settings of an EtcdRegistry. */
export type EtcdRegistryConfig = {
  /** Such as "http://127.0.0.1:2379"; at least one. */
  readonly endpoints: readonly string[];
  /** Prefix of all keys. */
  readonly cluster: string;
  /** Of https endpoints; the machine's own roots, and no certificate, when left out. */
  readonly tls?: EtcdTls | null;
};

type OnMembers = (members: readonly Member[]) => void;

/** A watch of a name, with those who are told. */
type Watched = { readonly watch: MemberWatch; readonly listeners: Set<{ readonly onMembers: OnMembers }> };

/**
 * EtcdRegistry keeps members in etcd. It works without etcd, too: what is
 * registered is put when etcd comes, what is watched stands as it was last
 * seen, and health says so within 3 s. It is healthy again when etcd answers and
 * all that is watched has been read since.
 */
export class EtcdRegistry implements Registry {
  readonly kind = "etcd";
  readonly #deps: EtcdRegistryDeps;
  readonly #config: EtcdRegistryConfig;
  readonly #client: EtcdCalls;
  readonly #pulse: Pulse;
  readonly #watched = new Map<string, Watched>();
  readonly #leases = new Map<string, EtcdLease>();
  /** Views that nobody looks at any more, while they end. */
  readonly #ending = new Set<Promise<void>>();
  #stopped: Promise<void> | null = null;

  constructor(deps: EtcdRegistryDeps, config: EtcdRegistryConfig) {
    this.#deps = deps;
    this.#config = config;
    this.#client = deps.client;
    this.#pulse = new Pulse({
      ...deps,
      ping: () => this.#client.ping(`${config.cluster}/`),
      onAway: () => {
        for (const { watch } of this.#watched.values()) watch.setAway();
      },
      onBack: () => {
        for (const { watch } of this.#watched.values()) watch.refresh();
        for (const lease of this.#leases.values()) lease.check();
      },
    });
  }

  /** Resolves when etcd has answered, or after two seconds in which it has not. Does not reject. */
  async start(): Promise<void> {
    await this.#pulse.start();
  }

  /** Revokes what is registered and closes. Takes up to 4 s when etcd hangs. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  health(): Health {
    const fault = this.#fault();
    if (fault === null) return { healthy: true, message: "" };
    return { healthy: false, message: `etcd at ${this.#config.endpoints.join(", ")}: ${fault}` };
  }

  /** Resolves when the member was put, or after two seconds; then it is put in the background. */
  async register(member: Member, leaseTtlMs: number): Promise<Lease> {
    const { name, instance } = member;
    assert(this.#stopped === null, "the registry is stopped");
    assert(IDENTIFIER_PATTERN.test(name) && IDENTIFIER_PATTERN.test(instance), "names and instances are identifiers");
    const key = `${namePrefix(this.#config.cluster, name)}${instance}`;
    assert(!this.#leases.has(key), `${name} ${instance} is registered already`);
    const onRevoked = (): void => void this.#leases.delete(key);
    const lease = new EtcdLease({ ...this.#deps, client: this.#client, onRevoked }, { key, member, leaseTtlMs });
    this.#leases.set(key, lease);
    await lease.start();
    return lease;
  }

  /** After the stop it watches nothing: names are still looked up by calls that are under way. */
  watch(name: string, onMembers: OnMembers): () => void {
    if (this.#stopped !== null) return () => {};
    const watched = this.#watched.get(name) ?? this.#startWatch(name);
    const listener = { onMembers };
    watched.listeners.add(listener);
    if (watched.watch.members !== null) onMembers(watched.watch.members);
    return () => {
      if (watched.listeners.delete(listener) && watched.listeners.size === 0) this.#endWatch(name, watched);
    };
  }

  #startWatch(name: string): Watched {
    const listeners: Watched["listeners"] = new Set();
    const watch = new MemberWatch(
      {
        ...this.#deps,
        client: this.#client,
        onMembers: (members) => {
          this.#checkOwn(name, members);
          for (const listener of [...listeners]) this.#tell(listener.onMembers, members);
        },
        onBroken: () => this.#pulse.doubt(),
      },
      { name, prefix: namePrefix(this.#config.cluster, name) },
    );
    const watched = { watch, listeners };
    this.#watched.set(name, watched);
    watch.start();
    return watched;
  }

  #endWatch(name: string, { watch }: Watched): void {
    this.#watched.delete(name);
    const ending = watch.stop().finally(() => this.#ending.delete(ending));
    this.#ending.add(ending);
  }

  /** An own key that the view does not have is looked after at once, where its next round would do it later. */
  #checkOwn(name: string, members: readonly Member[]): void {
    const seen = new Set(members.map(({ instance }) => `${namePrefix(this.#config.cluster, name)}${instance}`));
    const prefix = namePrefix(this.#config.cluster, name);
    for (const [key, lease] of this.#leases) if (key.startsWith(prefix) && !seen.has(key)) lease.check();
  }

  /** One listener that throws must not keep the news from the others, nor break the stream. */
  #tell(onMembers: OnMembers, members: readonly Member[]): void {
    try {
      onMembers(members);
    } catch (err) {
      this.#deps.log.error({ err }, "a listener to the members of a name has thrown");
    }
  }

  #fault(): string | null {
    if (this.#stopped !== null) return "the registry is stopped";
    if (this.#pulse.fault !== null) return this.#pulse.fault;
    for (const { watch } of this.#watched.values()) if (watch.fault !== null) return watch.fault;
    return null;
  }

  async #stop(): Promise<void> {
    await this.#pulse.stop();
    for (const [name, watched] of this.#watched) {
      watched.listeners.clear();
      this.#endWatch(name, watched);
    }
    await Promise.all([...this.#leases.values()].map((lease) => lease.revoke()));
    await Promise.all(this.#ending);
    this.#client.close();
  }
}
