import type { OutputPiece } from "../common/domain/attempt.ts";
import type { ExecutionId, ExecutorId, JobUid, RouteId } from "../common/domain/identifier.ts";
import type { PendingWork } from "../common/port/store-executions.ts";

/**
 * What one part of a scheduler tells the others, and schedulers tell each
 * other (rule 31). A hint that is lost, late or doubled costs time, never
 * truth: every hinted thing is swept from the store as well.
 */
export type Hint =
  /** Executions of a route became claimable. */
  | { readonly kind: "ready"; readonly routeId: RouteId; readonly bestRank: number; readonly count: number }
  /** Executors homed at this scheduler, or at the peer, have more room. */
  | { readonly kind: "free" }
  /** A stop was stored on an active execution. */
  | { readonly kind: "stop"; readonly executionId: ExecutionId }
  /** An executor was asked to leave. */
  | { readonly kind: "drain"; readonly executorId: ExecutorId }
  /** An execution ended. */
  | { readonly kind: "ended"; readonly executionId: ExecutionId }
  /** Executions came to a state that is not their last. Local only, for those who watch here. */
  | { readonly kind: "moved"; readonly executionIds: readonly ExecutionId[] }
  /** A job was stored, changed or removed. */
  | { readonly kind: "changed"; readonly jobUid: JobUid }
  /** An execution waits for its time. Local only: who made it arms it, and the timer of its shard finds it in the store. */
  | { readonly kind: "due"; readonly executionId: ExecutionId; readonly readyUs: number }
  /** What a sweep of the store found to do; all false when it found nothing. Local only. */
  | { readonly kind: "pending"; readonly work: PendingWork }
  /** Output of a running attempt arrived. */
  | { readonly kind: "output"; readonly piece: OutputPiece };

/** Where a hint came from: peers' hints are not sent on. */
export type HintOrigin = "local" | "peer";

type Listener = (hint: Hint, origin: HintOrigin) => void;

/** Hands each hint to everyone in this process who listens for its kind. */
export class Hints {
  readonly #listeners = new Map<Hint["kind"], Set<Listener>>();

  /** Listens for one kind; returns how to stop. The listener must return at once. */
  on<K extends Hint["kind"]>(
    kind: K,
    listener: (hint: Extract<Hint, { kind: K }>, origin: HintOrigin) => void,
  ): () => void {
    const listeners = this.#listeners.get(kind) ?? new Set<Listener>();
    this.#listeners.set(kind, listeners);
    const own: Listener = (hint, origin) => listener(hint as Extract<Hint, { kind: K }>, origin);
    listeners.add(own);
    return () => listeners.delete(own);
  }

  /** Tells everyone who listens. */
  tell(hint: Hint, origin: HintOrigin = "local"): void {
    for (const listener of this.#listeners.get(hint.kind) ?? []) listener(hint, origin);
  }
}
