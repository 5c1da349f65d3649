import type { Attempt, AttemptProgress, AttemptResult } from "../domain/attempt.ts";
import type { Cause, Execution, ExecutionState, NewExecution, StateReason, StopReason } from "../domain/execution.ts";
import type { HeldFire, HeldOutcome } from "../domain/held-fire.ts";
import type {
  AttemptKey,
  ExecutionId,
  ExecutorId,
  Fence,
  Incarnation,
  RouteId,
  SchedulerId,
} from "../domain/identifier.ts";
import type { LostPolicy } from "../domain/policy.ts";
import type { UniqueKey } from "../domain/unique-key.ts";
import type { Page } from "./store.ts";

/** Makes a call idempotent for 24 hours (rule 5). */
export type RequestClaim = {
  readonly namespace: string;
  /** Kind of call, the same for unary and stream. */
  readonly method: "submit" | "run" | "create" | "retry";
  readonly requestId: string;
  /** SHA-256 of the decoded request in canonical order, hex. */
  readonly bodyHash: string;
};

/** The slot that an attempt is claimed for: the executor's session must still be the store's (rule 20). */
export type Placement = {
  readonly executorId: ExecutorId;
  readonly incarnation: Incarnation;
  readonly sessionNumber: number;
};

/** A placement with the fence drawn for it. */
export type ClaimedSlot = Placement & { readonly fence: Fence };

/** One submission of a group. */
export type Submission = {
  readonly execution: NewExecution;
  readonly request: RequestClaim | null;
  /**
   * Set: inserted as DISPATCHED, attempt 1, for this slot, when it is ready
   * and has no gate. Else READY, SCHEDULED, or waiting at its gate.
   */
  readonly slot: ClaimedSlot | null;
  /** The key that no other execution of its namespace may carry while it has not ended. */
  readonly unique?: UniqueKey | null;
};

/** Outcome of one submission. */
export type SubmitOutcome =
  /** Stored as it was submitted; or, under REPLACE_WAITING, what waited under its unique key has its target and time. */
  | {
      readonly kind: "stored";
      readonly execution: Execution;
      /** A fire that was held ahead of its time and is called back for it, for a hint; unset when there is none. */
      readonly calledBack?: ExecutionId;
    }
  /** The same request_id with the same body made this one before. */
  | { readonly kind: "repeated"; readonly executionId: ExecutionId }
  | { readonly kind: "request_reused" }
  /** This one carries its unique key: it is the answer, or, under REJECT, in its way. */
  | { readonly kind: "existing" | "key_taken"; readonly executionId: ExecutionId }
  /** Others took and ended its unique_key again and again: it is not stored, and may be tried again. */
  | { readonly kind: "contended"; readonly message: string }
  /** The store refuses this row for good; the others of the group are stored. */
  | { readonly kind: "refused"; readonly message: string };

/** What one route may claim, and for whom. */
export type ClaimRequest = {
  readonly routeId: RouteId;
  /** One for each execution that may be claimed, in the order of assignment. */
  readonly slots: readonly ClaimedSlot[];
};

/** The best waiting execution of a route. */
export type WaitingRoute = { readonly routeId: RouteId; readonly bestRank: number };

/** What was pinned together. */
export type PinnedGroup = {
  /** The routes on which it waits now. */
  readonly routeIds: readonly RouteId[];
  readonly count: number;
};

/** Where a batch of results stood in its partition (rule 3). */
export type BatchOffsets = {
  readonly partition: number;
  readonly generation: number;
  readonly firstOffset: number;
  /** The offset after the last record. */
  readonly nextOffset: number;
  /** Text of the last record's key, for the check of rule 27. */
  readonly lastKey: string;
};

/** What became of one result. */
export type ResultOutcome = {
  readonly key: AttemptKey;
  /** False when the key is not the store's: nothing changed. */
  readonly applied: boolean;
  /** State after it; null when nothing was applied. */
  readonly state: ExecutionState | null;
  /** Due time when it waits for another attempt. */
  readonly readyUs: number | null;
  readonly routeId: RouteId | null;
};

/** Outcome of storing a batch. */
export type StoreResultsOutcome =
  | { readonly kind: "stored"; readonly results: readonly ResultOutcome[] }
  /** Another owner moved the offset, or the generation changed: read what is stored and seek. */
  | { readonly kind: "offset_conflict" };

/** A current attempt, as the home watches it (rules 19, 24, 25). */
export type ActiveAttempt = {
  readonly key: AttemptKey;
  readonly executorId: ExecutorId;
  readonly incarnation: Incarnation;
  /** Of the session that it was claimed under. */
  readonly sessionNumber: number;
  readonly state: "DISPATCHED" | "RUNNING";
  readonly dispatchUs: number;
  /** It is not started before this (rule 11); null when it may start at once. */
  readonly holdUntilUs: number | null;
  readonly startUs: number | null;
  readonly timeoutMs: number;
  readonly stop: { readonly reason: StopReason; readonly message: string } | null;
};

/** An execution that its start deadline, or the limit of its retries, has ended. */
export type ExpiredExecution = { readonly executionId: ExecutionId; readonly state: ExecutionState };

/** Outcome of asking that an execution end. */
export type StopOutcome =
  /** It waited and has ended now. */
  | { readonly kind: "ended"; readonly execution: Execution }
  /** It is active: the stop is stored and its home sends it. */
  | { readonly kind: "stopping"; readonly execution: Execution }
  /** It had ended before. */
  | { readonly kind: "was_final"; readonly execution: Execution }
  | { readonly kind: "not_found" };

/** Which executions a list or count shows. */
export type ExecutionFilter = {
  /** null means all. */
  readonly namespace: string | null;
  readonly jobId: string;
  readonly states: readonly ExecutionState[];
  readonly reasons: readonly StateReason[];
  /**
   * What waits for an executor has a reason that nothing stores. Where `reasons` are asked for, what waits on the routes
   * of `matching` has one of them, what waits on those of `other` has none; null when no such reason is looked at.
   */
  readonly waiting?: { readonly matching: readonly RouteId[]; readonly other: readonly RouteId[] } | null;
  readonly causes: readonly Cause[];
  readonly scheduledAfterUs: number | null;
  readonly scheduledBeforeUs: number | null;
  readonly executorId: string;
  readonly handlerMethod: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Only what this execution made; no execution of this version is made by another one, so that none is found. */
  readonly parentExecutionId?: ExecutionId | null;
};

/** What became of one whose time had come: claimable on its route, or ended by its job's overlap policy, a pause or a change. */
export type MadeReady =
  | { readonly executionId: ExecutionId; readonly routeId: RouteId }
  | { readonly executionId: ExecutionId; readonly ended: ExecutionState };

/** A state that a waiter may look for. */
export type StateOf = { readonly executionId: ExecutionId; readonly state: ExecutionState };

/** What a scheduler finds to do: whether each of its loops has anything to read (rules 7, 24, 25, 31). */
export type PendingWork = {
  /** Something is READY and may be claimed. */
  readonly claims: boolean;
  /** A gate is to be tried. */
  readonly gates: boolean;
  /** An attempt of an executor homed here has a stop. */
  readonly stops: boolean;
  /** Something waits past its start deadline. */
  readonly expiries: boolean;
};

/** Executions and their attempts. */
export interface ExecutionStore {
  /**
   * Rule 5: stores a group in one transaction and answers for each in order. A
   * row that fails for good is its own: the group is bisected. When the
   * connection died in COMMIT the group is read back by id before it answers;
   * if that cannot be done either, StoreUnavailable. A slot is honoured only
   * while its session is the store's and its executor is not lost; else READY.
   */
  submit(group: readonly Submission[]): Promise<readonly SubmitOutcome[]>;
  /** Rule 31: whether anything waits to be done, for the scheduler that is `home`. One statement, by index. */
  pending(home: SchedulerId): Promise<PendingWork>;
  /** Rule 6: the best rank of each route that has claimable rows, best first. One loose index scan. */
  waitingRoutes(): Promise<readonly WaitingRoute[]>;
  /** Rules 6 and 20: claims the head of a route, at most as many as slots, and answers the claimed in order. */
  claim(request: ClaimRequest): Promise<readonly Execution[]>;
  /**
   * Rule 32: chooses executors, each in turn, for at most `limit` that wait on a route that is to be pinned, or whose
   * pin was lost, has left, drains or matches no more. Moves nothing where nothing had to be chosen or nobody matches.
   */
  pin(routeId: RouteId, limit: number): Promise<PinnedGroup>;
  /** The routes on which these wait to be claimed; those that do not are left out. */
  claimRoutes(executionIds: readonly ExecutionId[]): Promise<ReadonlyMap<ExecutionId, RouteId>>;
  /** Rules 1 to 4: ends attempts by their results. `offsets` is null for results by session. */
  storeResults(results: readonly AttemptResult[], offsets: BatchOffsets | null): Promise<StoreResultsOutcome>;
  /** DISPATCHED becomes RUNNING with its start time; other keys and states change nothing. */
  markStarted(started: readonly { readonly key: AttemptKey; readonly startUs: number }[]): Promise<void>;
  /** How far current attempts are, all in one statement; other keys change nothing. */
  storeProgress(reports: readonly AttemptProgress[]): Promise<void>;
  /**
   * Rule 15: ends up to `limit` current attempts of a lost incarnation as LOST, and by policy readies the next; only
   * those under `policy` when it is given.
   */
  endLost(
    executorId: ExecutorId,
    incarnation: Incarnation,
    limit: number,
    policy?: LostPolicy,
  ): Promise<readonly ResultOutcome[]>;
  /** Current attempts of an incarnation dispatched before a time, by index. */
  active(
    executorId: ExecutorId,
    incarnation: Incarnation,
    dispatchedBeforeUs: number,
    limit: number,
  ): Promise<readonly ActiveAttempt[]>;
  /** The executions behind current attempts, for a resend; keys that are not the store's are left out. */
  forResend(keys: readonly AttemptKey[]): Promise<readonly Execution[]>;
  /** Of these keys those that are current attempts in the store. */
  currentKeys(keys: readonly AttemptKey[]): Promise<readonly AttemptKey[]>;
  /** Rule 25: asks that an execution end. CANCEL overrides other reasons; a waiting one ends at once (CANCEL only). */
  requestStop(executionId: ExecutionId, reason: StopReason, message: string): Promise<StopOutcome>;
  /** Sets a stop on the attempt while its key is current; false when it is not. For TIMEOUT and REROUTE. */
  stopAttempt(key: AttemptKey, reason: StopReason, message: string): Promise<boolean>;
  /** Active attempts with a stop, of executors homed at this scheduler. By index. */
  stops(home: SchedulerId, limit: number): Promise<readonly ActiveAttempt[]>;
  /** SCHEDULED executions of these shards due not after a time, earliest first: id and due time. By index. */
  due(
    shards: readonly number[],
    untilUs: number,
    limit: number,
  ): Promise<readonly { readonly executionId: ExecutionId; readonly readyUs: number }[]>;
  /**
   * SCHEDULED ones whose time has come become READY, through their gates where
   * they have any; answers those that are claimable now, and those that ended instead.
   */
  makeReady(executionIds: readonly ExecutionId[]): Promise<readonly MadeReady[]>;
  /**
   * Rule 24: ends up to `limit` (500 at most) executions that wait, SCHEDULED or READY, past their start deadline:
   * EXPIRED, or, where an attempt had failed and the limit was retry.max_duration, as that attempt ended.
   */
  expire(limit: number): Promise<readonly ExpiredExecution[]>;
  /**
   * Rule 11: what has become of held fires that were called back. Those that came back are decided by their jobs as
   * these are now: SKIPPED, CANCELLED, or waiting for their time with the job's present target and policy.
   */
  releaseHeld(held: readonly HeldFire[]): Promise<readonly HeldOutcome[]>;
  /** READY executions, those at their gates too, counted up to a limit. By index. */
  countReady(limit: number): Promise<number>;
  /** Rule 7: lets waiting ones in where gates have room and are due; answers routes that got claimable rows. */
  admit(limit: number): Promise<readonly RouteId[]>;
  /** Rule 7: recounts the gates and answers those whose count had drifted, after mending them. */
  recountGates(): Promise<readonly { readonly gateKey: string; readonly drift: number }[]>;
  /** Rule 5: what a request made in the last 24 hours; null when it is not known. */
  repeatOf(request: RequestClaim): Promise<Extract<SubmitOutcome, { kind: "repeated" | "request_reused" }> | null>;
  /**
   * The same for a call whose namespace is not known: the request with its method, request_id and body in any of the
   * first thousand namespaces that have requests.
   */
  repeatAnywhere(request: RequestClaim): Promise<Extract<SubmitOutcome, { kind: "repeated" }> | null>;
  /** Rule 5: forgets up to `limit` request_ids whose 24 hours are over; answers how many. */
  pruneRequests(limit: number): Promise<number>;
  get(executionId: ExecutionId): Promise<Execution | null>;
  /** States of these; unknown ids are left out. */
  states(executionIds: readonly ExecutionId[]): Promise<readonly StateOf[]>;
  /** Newest nominal time first, without targets and results when `full` is false. */
  list(filter: ExecutionFilter, pageSize: number, pageToken: string | null, full: boolean): Promise<Page<Execution>>;
  count(filter: ExecutionFilter): Promise<readonly { readonly state: ExecutionState; readonly count: number }[]>;
  /** Attempts from the first on: those that ended, then the current one. */
  attempts(executionId: ExecutionId, pageSize: number, pageToken: string | null): Promise<Page<Attempt>>;
  /** Executions that have not ended of a job, for DeleteJob.cancel_executions. */
  liveOfJob(namespace: string, jobId: string, limit: number): Promise<readonly ExecutionId[]>;
}
