import type { MeshClient } from "../../services/client/mesh-client.ts";
import { JobmeshError } from "../../services/common/error/jobmesh-error.ts";
import type { Acknowledged, MakeSubmission } from "./submitters.ts";

/** Between two groups of calls. */
const TICK_MS = 20;

/** How a client's call that was refused ended. */
export type Refused = { readonly atMs: number; readonly error: JobmeshError; readonly tookMs: number };

/**
 * A client that submits so many a second, whatever becomes of them: as people
 * and programs do that do not wait for each other. Nothing is tried again, so
 * each call is acknowledged or refused; times are of performance.now().
 */
export class SteadyLoad {
  readonly acknowledged: (Acknowledged & { readonly atMs: number })[] = [];
  readonly refused: Refused[] = [];
  readonly #clients: readonly MeshClient[];
  readonly #make: MakeSubmission;
  readonly #perSecond: number;
  readonly #startMs = performance.now();
  readonly #timer: NodeJS.Timeout;
  readonly #running = new Set<Promise<void>>();
  #made = 0;

  /** @param clients are called in turn. */
  constructor(clients: readonly MeshClient[], perSecond: number, make: MakeSubmission) {
    this.#clients = clients;
    this.#make = make;
    this.#perSecond = perSecond;
    this.#timer = setInterval(() => this.#catchUp(), TICK_MS);
  }

  /** Calls that were begun. */
  get made(): number {
    return this.#made;
  }

  /** Begins no more, and waits until each is acknowledged or refused. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#running);
  }

  /** A process that was held up makes up for it: the rate is of the whole. */
  #catchUp(): void {
    const due = ((performance.now() - this.#startMs) / 1000) * this.#perSecond;
    while (this.#made < due) {
      const number = this.#made++;
      const calling: Promise<void> = this.#call(number).finally(() => this.#running.delete(calling));
      this.#running.add(calling);
    }
  }

  async #call(number: number): Promise<void> {
    const requestId = `load-${number}`;
    const startMs = performance.now();
    try {
      const execution = await this.#clients[number % this.#clients.length]?.submit({
        ...this.#make(number),
        requestId,
      });
      const executionId = execution?.executionId ?? "";
      this.acknowledged.push({ executionId, requestId, number, atMs: performance.now() });
    } catch (thrown) {
      const nowMs = performance.now();
      this.refused.push({ atMs: nowMs, error: JobmeshError.from(thrown), tookMs: nowMs - startMs });
    }
  }
}
