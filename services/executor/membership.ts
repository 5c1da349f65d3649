import type { ExecutorId, Incarnation } from "../common/domain/identifier.ts";
import type { Clock } from "../common/port/clock.ts";
import type { Lease, Member, Registry } from "../common/port/registry.ts";
import type { Logger } from "../common/runtime/log.ts";

/** Name under which executors register. */
export const EXECUTOR_NAME = "executor";

/** What a Membership needs. */
export interface MembershipDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly registry: Registry;
}

/** Settings of a Membership. */
export type MembershipConfig = { readonly executorId: ExecutorId; readonly registryTtlMs: number };

/** How long a start waits for its key: homes pass over an executor whose key they do not see. */
const WAIT_MS = 2_000;
/** Wait before another try. */
const RETRY_MS = 1_000;

/** Membership keeps the executor's key in the registry. The registry may be away: it goes on trying. */
export class Membership {
  readonly #deps: MembershipDeps;
  readonly #config: MembershipConfig;
  readonly #closing = new AbortController();
  #incarnation: Incarnation | null = null;
  #lease: Lease | null = null;
  #trying: Promise<void> = Promise.resolve();

  constructor(deps: MembershipDeps, config: MembershipConfig) {
    this.#deps = deps;
    this.#config = config;
  }

  /** null until the key was put. */
  get lease(): Lease | null {
    return this.#lease;
  }

  /** Puts the key; resolves when it is there, or after a while. */
  async start(incarnation: Incarnation, signal: AbortSignal): Promise<void> {
    this.#incarnation = incarnation;
    const waited = new AbortController();
    this.#trying = this.#register().finally(() => waited.abort());
    await this.#deps.clock.sleep(WAIT_MS, AbortSignal.any([waited.signal, signal, this.#closing.signal]));
  }

  /** The executor is another incarnation now. */
  renewed(incarnation: Incarnation): void {
    this.#incarnation = incarnation;
    this.#lease?.update(this.#member(incarnation)).catch((err: unknown) => {
      this.#deps.log.warn({ err }, "the registry was not told of the new incarnation");
    });
  }

  /** Removes the key. */
  async stop(): Promise<void> {
    this.#closing.abort();
    await this.#trying;
    await this.#lease?.revoke().catch((err: unknown) => {
      this.#deps.log.warn({ err }, "the registry key was not removed; it expires");
    });
  }

  async #register(): Promise<void> {
    while (!this.#closing.signal.aborted && this.#incarnation !== null) {
      try {
        const incarnation = this.#incarnation;
        this.#lease = await this.#deps.registry.register(this.#member(incarnation), this.#config.registryTtlMs);
        if (incarnation !== this.#incarnation) this.renewed(this.#incarnation);
        return;
      } catch (err) {
        this.#deps.log.warn({ err }, "the executor could not be registered");
        await this.#deps.clock.sleep(RETRY_MS, this.#closing.signal);
      }
    }
  }

  #member(incarnation: Incarnation): Member {
    return { name: EXECUTOR_NAME, instance: this.#config.executorId, address: "", metadata: { incarnation } };
  }
}
