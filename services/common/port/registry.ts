import type { Health } from "./bus.ts";

/** A live member of a name. */
export type Member = {
  /** For example "scheduler", "executor", "billing". */
  readonly name: string;
  readonly instance: string;
  /** "host:port"; empty for one that nobody dials. */
  readonly address: string;
  readonly metadata: Readonly<Record<string, string>>;
};

/** A registration that is kept alive until it is revoked. */
export interface Lease {
  /** Changes address or metadata of the member. */
  update(member: Pick<Member, "address" | "metadata">): Promise<void>;
  /**
   * When the last keep-alive that was answered had been sent, by the monotonic
   * clock in milliseconds; null when there was none yet. Self-fencing counts
   * from it (rule 16).
   */
  lastKeptAliveMs(): number | null;
  /** Removes the member at once. Harmless when it is gone. */
  revoke(): Promise<void>;
}

/**
 * Registry is who is there: etcd, or memory in one process. It may lose
 * everything; what it says is a hint (rule 30).
 */
export interface Registry {
  readonly kind: "etcd" | "memory";
  start(): Promise<void>;
  stop(): Promise<void>;
  health(): Health;
  /** Puts a member under a lease, keeps it alive, and puts it again when it is found missing. */
  register(member: Member, leaseTtlMs: number): Promise<Lease>;
  /**
   * Calls back with all members of a name, sorted by instance: first with those
   * there now, then at each change. Lists are read again every 10 s and after
   * each reconnect. While the registry is away the last view stands. Returns
   * how to end the watch.
   */
  watch(name: string, onMembers: (members: readonly Member[]) => void): () => void;
}
