/** A key with its value. */
export type Entry = {
  readonly key: string;
  readonly value: string;
  /** The lease that it is bound to; "0" without one. */
  readonly leaseId: string;
  readonly revision: bigint;
};

/** A key that was put, or, with `entry` null, that is gone. */
export type Change = { readonly key: string; readonly revision: bigint; readonly entry: Entry | null };

/** All keys of a prefix as they were at one revision. */
export type Listing = { readonly revision: bigint; readonly entries: readonly Entry[] };

/** What a watch tells. After `onEnded` nothing more comes. */
export type WatchEvents = {
  /** etcd has begun to watch. */
  onOpened(): void;
  onChanges(changes: readonly Change[]): void;
  /** It is over, by a broken connection, by a compaction of what it was to begin with, or otherwise. */
  onEnded(why: string): void;
};

/** The lease is not etcd's: it has expired, was revoked, or etcd has lost it. */
export class LeaseGone extends Error {
  override readonly name = "LeaseGone";
}

/** EtcdCalls is what the registry asks of etcd: an EtcdClient, or the simulator's. Each call is bounded in time. */
export interface EtcdCalls {
  /** Resolves when etcd answers, which takes a majority of its nodes. */
  ping(key: string): Promise<void>;
  /** Reads all keys of a prefix, at one revision. */
  list(prefix: string): Promise<Listing>;
  /** Reads a key; null when it is not there. */
  get(key: string): Promise<Entry | null>;
  /** Puts a key under a lease. Rejects with LeaseGone. */
  put(key: string, value: string, leaseId: string): Promise<void>;
  /** Makes a lease of that many seconds; returns its id. */
  grant(ttlSeconds: number): Promise<string>;
  /** Keeps a lease alive for its time from now. Rejects with LeaseGone. */
  keepAlive(leaseId: string): Promise<void>;
  /** Ends a lease and removes its keys. Harmless when it is gone. */
  revoke(leaseId: string): Promise<void>;
  /** Watches a prefix from a revision on; returns what ends it. A node that does not begin in time is left. */
  watch(prefix: string, fromRevision: bigint, events: WatchEvents): () => void;
  /** Cuts the connections. */
  close(): void;
}
