import type { ExecutorProfile, ExecutorRecord } from "../domain/executor.ts";
import type { ExecutorId, Incarnation, SchedulerId } from "../domain/identifier.ts";

/** Hello, as the store judges it (rules 16, 20, 23). */
export type Registration = {
  readonly profile: ExecutorProfile;
  readonly sessionNumber: number;
  readonly home: SchedulerId;
  /** The incarnation that this process knows to have ended; null when it knows of none. */
  readonly previousIncarnation: Incarnation | null;
};

/** Outcome of ExecutorStore.register. */
export type RegisterOutcome =
  | { readonly kind: "welcome" }
  /** The incarnation was declared lost, or has left: it goes on as a new one. */
  | { readonly kind: "lost" }
  /** Another incarnation of the executor_id is alive and was not named as the previous one. */
  | { readonly kind: "taken"; readonly incarnation: Incarnation }
  /** A later session of the incarnation is stored. */
  | { readonly kind: "stale_session" };

/** One executor's beat, as its home writes it. */
export type Beat = {
  readonly executorId: ExecutorId;
  readonly incarnation: Incarnation;
  readonly sessionNumber: number;
  readonly freeSlots: number;
  readonly cpuLoad: number;
  readonly memoryBytes: number;
  readonly draining: boolean;
};

/** An executor that was asked to leave. */
export type Drain = {
  readonly executorId: ExecutorId;
  readonly incarnation: Incarnation;
  /** What still runs then is cut off; mesh time. */
  readonly untilUs: number;
};

/** Executors: who lives is in the store (rule 14). */
export interface ExecutorStore {
  /**
   * Compares and sets the session. A previous incarnation that is named is lost
   * at once (rule 23), in the same transaction.
   */
  register(registration: Registration): Promise<RegisterOutcome>;
  /** Writes heard_time for all sessions of a home in one statement; answers the beats whose session is still the store's. */
  beat(home: SchedulerId, beats: readonly Beat[]): Promise<readonly Beat[]>;
  /** All incarnations that are neither lost nor left, in order of registration. */
  live(): Promise<readonly ExecutorRecord[]>;
  /** Rule 14: sets lost_time where heard_time is still the one seen; true when this call did. */
  declareLost(executorId: ExecutorId, incarnation: Incarnation, heardUs: number): Promise<boolean>;
  /** Lost incarnations that still have current attempts (rule 15). */
  lostWithAttempts(): Promise<readonly ExecutorRecord[]>;
  /** The executor left by itself; its current attempts, if it has any, are ended as those of a lost one. */
  leave(executorId: ExecutorId, incarnation: Incarnation): Promise<void>;
  /**
   * Notes that the executor is to leave, what runs within the grace; of two drains the earlier end stands. From then
   * on nothing is claimed for it. Answers its record; null when none of that name lives.
   */
  drain(executorId: ExecutorId, graceMs: number): Promise<ExecutorRecord | null>;
  /** Drains of the live executors of a home. */
  drains(home: SchedulerId): Promise<readonly Drain[]>;
  /** Forgets incarnations that ended before a time and have no current attempt. */
  prune(endedBeforeUs: number): Promise<number>;
}
