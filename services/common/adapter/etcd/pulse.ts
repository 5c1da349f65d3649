import type { Clock } from "../../port/clock.ts";
import type { Logger } from "../../runtime/log.ts";
import { faultText } from "./fault.ts";
import { Nap } from "./nap.ts";

/** What a Pulse needs. */
export interface PulseDeps {
  readonly clock: Clock;
  readonly log: Logger;
  /** Resolves when etcd answers; bounded in time. */
  ping(): Promise<void>;
  /** etcd does not answer any more. */
  onAway(): void;
  /** etcd answers, for the first time or again. */
  onBack(): void;
}

/**
 * Between two questions. One that fails is asked again at once, lest a moment's stall of this process is taken for an
 * outage; each takes at most a second, so that an etcd that hangs is known within 2.8 s.
 */
const INTERVAL_MS = 800;
/** Between two questions while it is away. */
const AWAY_INTERVAL_MS = 300;

/** Pulse knows whether etcd answers. */
export class Pulse {
  readonly #deps: PulseDeps;
  readonly #nap: Nap;
  readonly #closing = new AbortController();
  #fault: string | null = "etcd was not asked yet";
  #isTold = false;
  #running: Promise<void> | null = null;

  constructor(deps: PulseDeps) {
    this.#deps = deps;
    this.#nap = new Nap(deps.clock);
  }

  /** Why etcd is away; null while it answers. */
  get fault(): string | null {
    return this.#fault;
  }

  /** Resolves when the first question was answered, or was not. Does not reject. */
  async start(): Promise<void> {
    if (this.#running !== null || this.#closing.signal.aborted) return;
    const first = this.#beat();
    this.#running = this.#run(first);
    await first;
  }

  /** Something broke: asks at once. While etcd is known to be away that says nothing new. */
  doubt(): void {
    if (this.#fault === null) this.#nap.wake();
  }

  async stop(): Promise<void> {
    this.#closing.abort();
    await this.#running;
  }

  async #run(first: Promise<void>): Promise<void> {
    await first;
    const { signal } = this.#closing;
    for (;;) {
      await this.#nap.sleep(this.#fault === null ? INTERVAL_MS : AWAY_INTERVAL_MS, signal);
      if (signal.aborted) return;
      await this.#beat();
    }
  }

  async #beat(): Promise<void> {
    const before = this.#fault;
    let fault = await this.#ask();
    if (fault !== null && before === null && !this.#closing.signal.aborted) fault = await this.#ask();
    if (this.#closing.signal.aborted) return;
    this.#fault = fault;
    if (fault === null && before !== null) this.#back();
    else if (fault !== null && (before === null || !this.#isTold)) this.#away(fault);
  }

  /** Why etcd did not answer; null when it did. */
  async #ask(): Promise<string | null> {
    return await this.#deps.ping().then(
      () => null,
      (err: unknown) => faultText(err),
    );
  }

  #away(fault: string): void {
    this.#isTold = true;
    this.#deps.log.warn({ fault }, "etcd is away; the last view of its members stands");
    this.#deps.onAway();
  }

  #back(): void {
    if (this.#isTold) this.#deps.log.info({}, "etcd is back");
    this.#deps.onBack();
  }
}
