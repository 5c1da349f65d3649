import type { Attempt, AttemptProgress, AttemptResult } from "../../domain/attempt.ts";
import type { Execution, ExecutionState, StopReason } from "../../domain/execution.ts";
import type { HeldFire, HeldOutcome } from "../../domain/held-fire.ts";
import type {
  AttemptKey,
  ExecutionId,
  ExecutorId,
  Incarnation,
  RouteId,
  SchedulerId,
} from "../../domain/identifier.ts";
import type { LostPolicy } from "../../domain/policy.ts";
import type { Clock } from "../../port/clock.ts";
import type { Random } from "../../port/random.ts";
import type { Page } from "../../port/store.ts";
import type {
  ActiveAttempt,
  BatchOffsets,
  ClaimRequest,
  ExecutionFilter,
  ExecutionStore,
  ExpiredExecution,
  MadeReady,
  PendingWork,
  PinnedGroup,
  RequestClaim,
  ResultOutcome,
  StateOf,
  StopOutcome,
  StoreResultsOutcome,
  Submission,
  SubmitOutcome,
  WaitingRoute,
} from "../../port/store-executions.ts";
import { active, currentKeys, forResend, stops } from "./active-attempts.ts";
import { admit } from "./admission.ts";
import { attempts } from "./attempts.ts";
import { releaseHeld } from "./called-back.ts";
import { claim, waitingRoutes } from "./claims.ts";
import { countReady } from "./counts.ts";
import { expire } from "./expiry.ts";
import { countExecutions, getExecution, listExecutions, liveOfJob, states } from "./listing.ts";
import { endLost } from "./losses.ts";
import { pendingWork } from "./pending-work.ts";
import { claimRoutes, pin } from "./pins.ts";
import { storeProgress } from "./progress.ts";
import { type GateDrift, recountGates } from "./recount.ts";
import { findRequest, findRequestAnywhere, pruneRequests } from "./requests.ts";
import { storeResults } from "./results.ts";
import type { SqlDatabase } from "./session.ts";
import { markStarted } from "./starts.ts";
import { requestStop, stopAttempt } from "./stop-requests.ts";
import { submit } from "./submit.ts";
import { type DueExecution, due, makeReady } from "./timers.ts";

/** What a SqlExecutionStore works with. */
export type SqlExecutionStoreDeps = {
  readonly database: SqlDatabase;
  readonly random: Random;
  /** Only to give way between the parts of a long read. */
  readonly clock: Clock;
};

/** Executions in SQL. Each operation has a file of its own, whose head names the rules that it keeps. */
export class SqlExecutionStore implements ExecutionStore {
  readonly #db: SqlDatabase;
  readonly #random: Random;
  readonly #clock: Clock;

  constructor({ database, random, clock }: SqlExecutionStoreDeps) {
    this.#db = database;
    this.#random = random;
    this.#clock = clock;
  }

  submit(group: readonly Submission[]): Promise<readonly SubmitOutcome[]> {
    return submit(this.#db, group);
  }

  pending(home: SchedulerId): Promise<PendingWork> {
    return pendingWork(this.#db, home);
  }

  waitingRoutes(): Promise<readonly WaitingRoute[]> {
    return waitingRoutes(this.#db);
  }

  claim(request: ClaimRequest): Promise<readonly Execution[]> {
    return claim(this.#db, request);
  }

  pin(routeId: RouteId, limit: number): Promise<PinnedGroup> {
    return pin(this.#db, routeId, limit);
  }

  claimRoutes(executionIds: readonly ExecutionId[]): Promise<ReadonlyMap<ExecutionId, RouteId>> {
    return claimRoutes(this.#db, executionIds);
  }

  storeResults(results: readonly AttemptResult[], offsets: BatchOffsets | null): Promise<StoreResultsOutcome> {
    return storeResults(this.#db, this.#random, results, offsets);
  }

  markStarted(started: readonly { readonly key: AttemptKey; readonly startUs: number }[]): Promise<void> {
    return markStarted(this.#db, started);
  }

  storeProgress(reports: readonly AttemptProgress[]): Promise<void> {
    return storeProgress(this.#db, reports);
  }

  endLost(
    executorId: ExecutorId,
    incarnation: Incarnation,
    limit: number,
    policy: LostPolicy | null = null,
  ): Promise<readonly ResultOutcome[]> {
    return endLost(this.#db, this.#random, { executorId, incarnation, limit, policy });
  }

  active(
    executorId: ExecutorId,
    incarnation: Incarnation,
    dispatchedBeforeUs: number,
    limit: number,
  ): Promise<readonly ActiveAttempt[]> {
    return active(this.#db, executorId, incarnation, dispatchedBeforeUs, limit);
  }

  forResend(keys: readonly AttemptKey[]): Promise<readonly Execution[]> {
    return forResend(this.#db, keys);
  }

  currentKeys(keys: readonly AttemptKey[]): Promise<readonly AttemptKey[]> {
    return currentKeys(this.#db, keys);
  }

  requestStop(executionId: ExecutionId, reason: StopReason, message: string): Promise<StopOutcome> {
    return requestStop(this.#db, executionId, reason, message);
  }

  stopAttempt(key: AttemptKey, reason: StopReason, message: string): Promise<boolean> {
    return stopAttempt(this.#db, key, reason, message);
  }

  stops(home: SchedulerId, limit: number): Promise<readonly ActiveAttempt[]> {
    return stops(this.#db, home, limit);
  }

  due(shards: readonly number[], untilUs: number, limit: number): Promise<readonly DueExecution[]> {
    return due(this.#db, shards, untilUs, limit);
  }

  makeReady(executionIds: readonly ExecutionId[]): Promise<readonly MadeReady[]> {
    return makeReady(this.#db, executionIds);
  }

  expire(limit: number): Promise<readonly ExpiredExecution[]> {
    return expire(this.#db, limit);
  }

  admit(limit: number): Promise<readonly RouteId[]> {
    return admit(this.#db, limit);
  }

  recountGates(): Promise<readonly GateDrift[]> {
    return recountGates(this.#db);
  }

  async repeatOf(request: RequestClaim): ReturnType<ExecutionStore["repeatOf"]> {
    const verdict = await findRequest(this.#db, request);
    if (verdict === null || verdict.kind === "new") return null;
    if (verdict.kind === "reused") return { kind: "request_reused" };
    return { kind: "repeated", executionId: verdict.resultId as ExecutionId };
  }

  async repeatAnywhere(request: RequestClaim): ReturnType<ExecutionStore["repeatAnywhere"]> {
    const resultId = await findRequestAnywhere(this.#db, request);
    return resultId === null ? null : { kind: "repeated", executionId: resultId as ExecutionId };
  }

  pruneRequests(limit: number): Promise<number> {
    return pruneRequests(this.#db, limit);
  }

  get(executionId: ExecutionId): Promise<Execution | null> {
    return getExecution(this.#db, executionId);
  }

  states(executionIds: readonly ExecutionId[]): Promise<readonly StateOf[]> {
    return states(this.#db, executionIds);
  }

  list(filter: ExecutionFilter, pageSize: number, pageToken: string | null, full: boolean): Promise<Page<Execution>> {
    return listExecutions(this.#db, filter, pageSize, pageToken, full);
  }

  releaseHeld(held: readonly HeldFire[]): Promise<readonly HeldOutcome[]> {
    return releaseHeld(this.#db, held);
  }

  countReady(limit: number): Promise<number> {
    return countReady(this.#db, limit);
  }

  count(filter: ExecutionFilter): Promise<readonly { readonly state: ExecutionState; readonly count: number }[]> {
    return countExecutions(this.#db, this.#clock, filter);
  }

  attempts(executionId: ExecutionId, pageSize: number, pageToken: string | null): Promise<Page<Attempt>> {
    return attempts(this.#db, executionId, pageSize, pageToken);
  }

  liveOfJob(namespace: string, jobId: string, limit: number): Promise<readonly ExecutionId[]> {
    return liveOfJob(this.#db, namespace, jobId, limit);
  }
}
