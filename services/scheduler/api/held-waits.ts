import type { HeldFire } from "../../common/domain/held-fire.ts";
import type { ExecutionId } from "../../common/domain/identifier.ts";
import { JobmeshError } from "../../common/error/jobmesh-error.ts";
import type { Clock } from "../../common/port/clock.ts";
import type { Store } from "../../common/port/store.ts";
import type { CallContext } from "../../common/rpc/contract.ts";
import type { Hints } from "../hints.ts";

/** Between two looks at what was called back, milliseconds: few calls wait so, and not for long. */
const LOOK_MS = 20;

/** What HeldWaits needs. */
export type HeldWaitsDeps = {
  readonly store: Pick<Store, "executions">;
  readonly hints: Hints;
  readonly clock: Clock;
};

/**
 * Rule 11: a call that stops what is held answers when that came back, or after
 * two beats says what could not be stopped. A held fire is at most 300 ms from
 * its time, so that by then it has started, if it ever does.
 */
export class HeldWaits {
  readonly #deps: HeldWaitsDeps;
  readonly #maxWaitMs: number;

  /** @param maxWaitMs two beats */
  constructor(deps: HeldWaitsDeps, maxWaitMs: number) {
    this.#deps = deps;
    this.#maxWaitMs = maxWaitMs;
  }

  /** Resolves with those that could not be stopped. Throws the signal's reason, or SHUTTING_DOWN. */
  async back(held: readonly HeldFire[], { signal, stopping }: Waiting): Promise<readonly ExecutionId[]> {
    const { store, hints, clock } = this.#deps;
    const endMs = clock.monotonicMs() + this.#maxWaitMs;
    const ended = AbortSignal.any([signal, stopping]);
    for (const { executionId } of held) hints.tell({ kind: "stop", executionId });
    const unstopped: ExecutionId[] = [];
    for (let waiting = held; waiting.length > 0; ) {
      const outcomes = await store.executions.releaseHeld(waiting);
      for (const [index, { executionId }] of waiting.entries()) {
        if (outcomes[index] === "unstopped") unstopped.push(executionId);
        if (outcomes[index] !== "held" && outcomes[index] !== "unstopped") hints.tell({ kind: "ended", executionId });
      }
      waiting = waiting.filter((_, index) => outcomes[index] === "held");
      if (waiting.length === 0) break;
      if (clock.monotonicMs() >= endMs) return [...unstopped, ...waiting.map(({ executionId }) => executionId)];
      await clock.sleep(LOOK_MS, ended);
      if (signal.aborted) throw signal.reason;
      if (stopping.aborted) throw new JobmeshError("SHUTTING_DOWN");
    }
    return unstopped;
  }
}

/** Ends a wait: the call is over, or the process stops. */
export type Waiting = Pick<CallContext, "signal" | "stopping">;
