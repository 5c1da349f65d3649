import type { Clock } from "../../port/clock.ts";
import type { Lease, Member } from "../../port/registry.ts";
import type { Logger } from "../../runtime/log.ts";
import { type EtcdCalls, LeaseGone } from "./etcd-calls.ts";
import { faultText } from "./fault.ts";
import { renderMember } from "./naming.ts";
import { Nap } from "./nap.ts";

/**
 * A member is kept by rounds, three in a lease. A round sends a keep-alive and
 * reads the own key; when both are as they should be, the moment at which the
 * round began is what lastKeptAliveMs tells (rule 16): a rescuer that does not
 * see the key counts the executor's lease as gone, so a lease that is kept alive
 * without its key is no sign of life. A key that is missing, that another lease
 * holds or that has another value is put again (rule 30); a lease that etcd does
 * not know is replaced by a new one at once. All of a member's writes are made
 * by its one loop, so that they cannot overtake each other.
 */

/** What an EtcdLease needs. */
export interface LeaseDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly client: Pick<EtcdCalls, "get" | "put" | "grant" | "keepAlive" | "revoke">;
  /** The lease is over for this process. */
  onRevoked(): void;
}

/** What is kept. */
export type LeaseConfig = { readonly key: string; readonly member: Member; readonly leaseTtlMs: number };

const ROUNDS_A_LEASE = 3;
/** Wait before another try. */
const RETRY_MS = 300;
/** How long a register or an update waits for its put; then the loop goes on by itself. */
const WAIT_MS = 2_000;

type Waiting = { readonly value: string; readonly done: AbortController };

/** EtcdLease keeps one member in etcd until it is revoked. */
export class EtcdLease implements Lease {
  readonly #deps: LeaseDeps;
  readonly #config: LeaseConfig;
  readonly #nap: Nap;
  readonly #closing = new AbortController();
  readonly #waiting = new Set<Waiting>();
  #value: string;
  #leaseId: string | null = null;
  #keptAliveMs: number | null = null;
  #failures = 0;
  #running: Promise<void> | null = null;
  #revoked: Promise<void> | null = null;

  constructor(deps: LeaseDeps, config: LeaseConfig) {
    this.#deps = deps;
    this.#config = config;
    this.#nap = new Nap(deps.clock);
    this.#value = renderMember(config.member);
  }

  /** Begins; resolves when the member was put, or after a while in which it could not be. */
  async start(): Promise<void> {
    this.#running = this.#run();
    await this.#put();
  }

  async update(member: Pick<Member, "address" | "metadata">): Promise<void> {
    if (this.#revoked !== null) return;
    this.#value = renderMember(member);
    this.#nap.wake();
    await this.#put();
  }

  lastKeptAliveMs(): number | null {
    return this.#keptAliveMs;
  }

  /** Looks after the key at once: it may be gone. */
  check(): void {
    this.#nap.wake();
  }

  revoke(): Promise<void> {
    this.#revoked ??= this.#revoke();
    return this.#revoked;
  }

  /** Resolves when the present value is in etcd, or after a while. */
  async #put(): Promise<void> {
    const waiting = { value: this.#value, done: new AbortController() };
    this.#waiting.add(waiting);
    await this.#deps.clock.sleep(WAIT_MS, AbortSignal.any([waiting.done.signal, this.#closing.signal]));
    this.#waiting.delete(waiting);
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        await this.#round();
        this.#succeeded();
        await this.#nap.sleep(this.#config.leaseTtlMs / ROUNDS_A_LEASE, signal);
      } catch (err) {
        if (signal.aborted) return;
        this.#failed(err);
        if (!(err instanceof LeaseGone && this.#failures === 1)) await this.#nap.sleep(RETRY_MS, signal);
      }
    }
  }

  async #round(): Promise<void> {
    const { client, clock } = this.#deps;
    const sentMs = clock.monotonicMs();
    const value = this.#value;
    if (this.#leaseId === null) {
      this.#leaseId = await client.grant(Math.max(Math.ceil(this.#config.leaseTtlMs / 1_000), 1));
      this.#closing.signal.throwIfAborted();
      await client.put(this.#config.key, value, this.#leaseId);
    } else {
      const leaseId = this.#leaseId;
      const [found] = await Promise.all([client.get(this.#config.key), client.keepAlive(leaseId)]);
      this.#closing.signal.throwIfAborted();
      if (found?.leaseId !== leaseId) this.#tellMissing(found === null);
      if (found?.leaseId !== leaseId || found.value !== value) await client.put(this.#config.key, value, leaseId);
    }
    this.#keptAliveMs = sentMs;
    // An update that came meanwhile has woken the loop, and waits for the next round.
    for (const waiting of this.#waiting) if (waiting.value === value) waiting.done.abort();
  }

  #tellMissing(isGone: boolean): void {
    const message = isGone ? "the own key was missing in etcd" : "the own key was another's in etcd";
    // Without a first success the key is missing because its put has failed.
    if (this.#keptAliveMs !== null) this.#deps.log.warn({ key: this.#config.key }, message);
  }

  #succeeded(): void {
    if (this.#failures > 0) this.#deps.log.info({ key: this.#config.key }, "the member is in etcd again");
    this.#failures = 0;
  }

  #failed(err: unknown): void {
    if (err instanceof LeaseGone) this.#leaseId = null;
    this.#failures += 1;
    if (this.#failures > 1) return;
    this.#deps.log.warn({ key: this.#config.key, fault: faultText(err) }, "the member could not be kept in etcd");
  }

  async #revoke(): Promise<void> {
    this.#closing.abort();
    await this.#running;
    this.#deps.onRevoked();
    if (this.#leaseId === null) return;
    try {
      await this.#deps.client.revoke(this.#leaseId);
    } catch (err) {
      const fields = { key: this.#config.key, fault: faultText(err) };
      this.#deps.log.warn(fields, "the lease was not revoked; its key expires by itself");
    }
  }
}
