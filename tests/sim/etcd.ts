/**
 * The etcd of a simulated mesh: one store of keys under leases, and the calls
 * of each process to it, on which the production registry runs. It forgets,
 * goes back to an older state, loses leases, and tells changes late.
 */
import {
  type Change,
  type Entry,
  type EtcdCalls,
  LeaseGone,
  type Listing,
  type WatchEvents,
} from "../../services/common/adapter/etcd/etcd-calls.ts";
import type { Network } from "./network.ts";
import type { Place } from "./stream.ts";
import type { Timeline } from "./timeline.ts";

/** How long a call may take, as the real client's. */
const CALL_MS = 1_000;
/** Changes that are kept. */
const MAX_LOG = 2_000;
/** Machine name. */
export const ETCD = "etcd";

type Watcher = { readonly prefix: string; readonly tell: (changes: readonly Change[]) => void; end(why: string): void };
type State = { readonly entries: Map<string, Entry>; readonly leases: Map<string, { ttlMs: number; endMs: number }> };

/** SimEtcd is etcd itself. */
export class SimEtcd {
  /** Nothing is answered. */
  isAway = false;
  /** Changes are told up to this much later. */
  lateMs = 0;
  readonly #timeline: Timeline;
  readonly #network: Network;
  readonly #watchers = new Set<Watcher>();
  #state: State = { entries: new Map(), leases: new Map() };
  #saved: State | null = null;
  #revision = 1n;
  #leases = 0;
  /** Changes since it began or was restored, for watches that begin in the past. */
  #log: Change[] = [];

  constructor(timeline: Timeline, network: Network) {
    this.#timeline = timeline;
    this.#network = network;
  }

  /** Calls of one process. */
  calls(place: Place): EtcdCalls {
    return new SimEtcdCalls(this, this.#network, place);
  }

  /** Keeps the present state, for `restore`. */
  save(): void {
    this.#saved = { entries: new Map(this.#state.entries), leases: new Map(this.#state.leases) };
  }

  /** Goes back to what was saved: with other revisions, and leases that are others' by now. */
  restore(): void {
    if (this.#saved === null) return;
    this.#state = { entries: new Map(this.#saved.entries), leases: new Map(this.#saved.leases) };
    this.#revision -= 3n;
    this.#log = [];
    this.endWatches("etcd was restored");
  }

  /** Everything is gone. */
  empty(): void {
    this.#state = { entries: new Map(), leases: new Map() };
    this.#revision = 1n;
    this.#log = [];
    this.endWatches("etcd lost everything");
  }

  /** One lease, or its key alone, is gone. */
  lose(pick: (keys: readonly string[]) => string | undefined): string | undefined {
    this.expire();
    const key = pick([...this.#state.entries.keys()]);
    if (key !== undefined) this.#remove([key]);
    return key;
  }

  endWatches(why: string): void {
    for (const watcher of [...this.#watchers]) watcher.end(why);
  }

  /** Tells the changes from a revision on. */
  watch(watcher: Watcher, fromRevision: bigint): () => void {
    this.#watchers.add(watcher);
    const missed = this.#log.filter(({ key, revision }) => revision >= fromRevision && key.startsWith(watcher.prefix));
    if (missed.length > 0) watcher.tell(missed);
    return () => this.#watchers.delete(watcher);
  }

  list(prefix: string): Listing {
    this.expire();
    const entries = [...this.#state.entries.values()].filter(({ key }) => key.startsWith(prefix));
    return { revision: this.#revision, entries: entries.sort((a, b) => (a.key < b.key ? -1 : 1)) };
  }

  get(key: string): Entry | null {
    this.expire();
    return this.#state.entries.get(key) ?? null;
  }

  put(key: string, value: string, leaseId: string): void {
    this.expire();
    if (!this.#state.leases.has(leaseId)) throw new LeaseGone("etcd does not know the lease");
    const entry: Entry = { key, value, leaseId, revision: ++this.#revision };
    this.#state.entries.set(key, entry);
    this.#tell([{ key, revision: entry.revision, entry }]);
  }

  grant(ttlSeconds: number): string {
    const leaseId = String(++this.#leases);
    const lease = { ttlMs: ttlSeconds * 1_000, endMs: this.#timeline.nowMs + ttlSeconds * 1_000 };
    this.#state.leases.set(leaseId, lease);
    this.#expireAt(lease.endMs);
    return leaseId;
  }

  keepAlive(leaseId: string): void {
    this.expire();
    const lease = this.#state.leases.get(leaseId);
    if (lease === undefined) throw new LeaseGone("the lease has expired");
    lease.endMs = this.#timeline.nowMs + lease.ttlMs;
    this.#expireAt(lease.endMs);
  }

  revoke(leaseId: string): void {
    this.#state.leases.delete(leaseId);
    this.#removeOf(new Set([leaseId]));
  }

  /** Removes what has expired; while etcd is away it judges nobody. */
  expire(): void {
    if (this.isAway) return;
    const gone = new Set<string>();
    for (const [leaseId, { endMs }] of this.#state.leases) if (endMs <= this.#timeline.nowMs) gone.add(leaseId);
    if (gone.size === 0) return;
    for (const leaseId of gone) this.#state.leases.delete(leaseId);
    this.#removeOf(gone);
  }

  /** A new leader gives every lease its whole time. */
  renewLeases(): void {
    for (const lease of this.#state.leases.values()) {
      lease.endMs = this.#timeline.nowMs + lease.ttlMs;
      this.#expireAt(lease.endMs);
    }
  }

  #expireAt(atMs: number): void {
    this.#timeline.after(atMs - this.#timeline.nowMs, () => this.expire());
  }

  #removeOf(leases: ReadonlySet<string>): void {
    this.#remove([...this.#state.entries.values()].filter(({ leaseId }) => leases.has(leaseId)).map(({ key }) => key));
  }

  #remove(keys: readonly string[]): void {
    const changes = keys.map((key) => {
      this.#state.entries.delete(key);
      return { key, revision: ++this.#revision, entry: null };
    });
    if (changes.length > 0) this.#tell(changes);
  }

  #tell(changes: readonly Change[]): void {
    this.#log.push(...changes);
    if (this.#log.length > MAX_LOG) this.#log.splice(0, MAX_LOG / 2);
    for (const watcher of [...this.#watchers]) {
      const own = changes.filter(({ key }) => key.startsWith(watcher.prefix));
      if (own.length > 0) watcher.tell(own);
    }
  }
}

/** The calls of one process. */
class SimEtcdCalls implements EtcdCalls {
  readonly #etcd: SimEtcd;
  readonly #network: Network;
  readonly #place: Place;
  readonly #endings = new Set<(why: string) => void>();

  constructor(etcd: SimEtcd, network: Network, place: Place) {
    this.#etcd = etcd;
    this.#network = network;
    this.#place = place;
  }

  ping(): Promise<void> {
    return this.#call(() => {});
  }

  list(prefix: string): Promise<Listing> {
    return this.#call(() => this.#etcd.list(prefix));
  }

  get(key: string): Promise<Entry | null> {
    return this.#call(() => this.#etcd.get(key));
  }

  put(key: string, value: string, leaseId: string): Promise<void> {
    return this.#call(() => this.#etcd.put(key, value, leaseId));
  }

  grant(ttlSeconds: number): Promise<string> {
    return this.#call(() => this.#etcd.grant(ttlSeconds));
  }

  keepAlive(leaseId: string): Promise<void> {
    return this.#call(() => this.#etcd.keepAlive(leaseId));
  }

  revoke(leaseId: string): Promise<void> {
    return this.#call(() => this.#etcd.revoke(leaseId));
  }

  watch(prefix: string, fromRevision: bigint, events: WatchEvents): () => void {
    const { process, machine } = this.#place;
    let isOver = false;
    let forget = (): void => {};
    const end = (why: string | null): void => {
      if (isOver) return;
      isOver = true;
      forget();
      late.cancel();
      this.#endings.delete(ended);
      if (why !== null) events.onEnded(why);
    };
    const ended = (why: string): void => end(why);
    this.#endings.add(ended);
    const late = process.setTimer(CALL_MS, () => end("etcd did not begin the watch"));
    let lastMs = 0;
    /** Changes keep their order; a stream that is cut ends as its keep-alive finds out. */
    const inOrder = (run: () => void, lateMs: number): void => {
      if (this.#network.isBlocked(ETCD, machine) || this.#etcd.isAway) {
        process.deliver(this.#network.keepAliveMs(), () => end("the watch broke"));
        return;
      }
      const nowMs = this.#network.nowMs;
      lastMs = Math.max(lastMs, nowMs + this.#network.latencyMs() + lateMs);
      process.deliver(lastMs - nowMs, () => {
        if (!isOver) run();
      });
    };
    this.#request(() => {
      if (isOver || this.#etcd.isAway) return;
      const watcher: Watcher = {
        prefix,
        tell: (changes) => inOrder(() => events.onChanges(changes), this.#network.share() * this.#etcd.lateMs),
        end: (why) => process.deliver(this.#network.latencyMs(), () => end(why)),
      };
      inOrder(() => {
        late.cancel();
        events.onOpened();
      }, 0);
      forget = this.#etcd.watch(watcher, fromRevision);
      process.onDeath(forget);
    });
    return () => end(null);
  }

  close(): void {
    for (const end of [...this.#endings]) end("closed");
  }

  /** Something that reaches etcd, unless the way is blocked. */
  #request(run: () => void): void {
    const { machine } = this.#place;
    if (this.#network.isBlocked(machine, ETCD)) return;
    this.#network.later(run);
  }

  #call<T>(answer: () => T): Promise<T> {
    const { process, machine } = this.#place;
    return new Promise((resolve, reject) => {
      const late = process.setTimer(CALL_MS, () => reject(new Error("etcd did not answer in time")));
      this.#request(() => {
        if (this.#etcd.isAway) return;
        let settle: () => void;
        try {
          const value = answer();
          settle = () => resolve(value);
        } catch (error) {
          settle = () => reject(error);
        }
        if (this.#network.isBlocked(ETCD, machine)) return;
        process.deliver(this.#network.latencyMs(), () => {
          late.cancel();
          settle();
        });
      });
    });
  }
}
