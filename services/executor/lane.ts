import type { DispatchOrder } from "../common/domain/dispatch.ts";
import type { ExecutorBus } from "../common/port/bus.ts";
import type { Clock } from "../common/port/clock.ts";
import type { Logger } from "../common/runtime/log.ts";

/**
 * Rule 29: the lane's consumer has joined and stands at its position before
 * Hello. A lane may be shared; orders for others are passed over by whoever
 * takes them. While Kafka is away the executor does not wait for ever: it says
 * Hello without a lane, works by its session, and says Hello again when the
 * lane stands.
 */

/** What a Lane needs. */
export interface LaneDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly bus: ExecutorBus;
  onOrder(order: DispatchOrder): void;
  /** The lane stands, later than `start` waited for it. */
  onLate(): void;
}

/** Wait before another try to join. */
const RETRY_MS = 1_000;

/** Lane reads this executor's partition of the dispatch topic. */
export class Lane {
  readonly #deps: LaneDeps;
  readonly #lane: number;
  readonly #closing = new AbortController();
  #joined = false;
  #joining: Promise<void> | null = null;

  constructor(deps: LaneDeps, lane: number) {
    this.#deps = deps;
    this.#lane = lane;
    deps.bus.onOrder((order) => deps.onOrder(order));
  }

  /** The partition, once the consumer stands there; null before. */
  get joined(): number | null {
    return this.#joined ? this.#lane : null;
  }

  /** Joins; resolves when the lane stands, or after `waitMs`, and then goes on trying. */
  async start(waitMs: number, signal: AbortSignal): Promise<void> {
    const waited = new AbortController();
    let late = false;
    this.#joining = this.#join().then(() => {
      waited.abort();
      if (late && this.#joined) this.#deps.onLate();
    });
    await this.#deps.clock.sleep(waitMs, AbortSignal.any([waited.signal, this.#closing.signal, signal]));
    late = true;
    if (!this.#joined && !signal.aborted)
      this.#deps.log.warn({ waitMs }, "the lane does not stand yet; working by the session");
  }

  /** Leaves; the group is deleted. */
  async stop(): Promise<void> {
    this.#closing.abort();
    await this.#deps.bus.stop().catch((err: unknown) => {
      this.#deps.log.warn({ err }, "the lane was not left in order");
    });
    await this.#joining;
  }

  async #join(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      try {
        await this.#deps.bus.start(this.#lane);
        this.#joined = true;
        return;
      } catch (err) {
        if (this.#closing.signal.aborted) return;
        this.#deps.log.warn({ err }, "the lane could not be joined");
        await this.#deps.clock.sleep(RETRY_MS, this.#closing.signal);
      }
    }
  }
}
