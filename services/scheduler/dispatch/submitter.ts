import type { Fence, RouteId } from "../../common/domain/identifier.ts";
import { storedSize } from "../../common/domain/parameter.ts";
import { claimRank } from "../../common/domain/policy.ts";
import { JobmeshError } from "../../common/error/jobmesh-error.ts";
import type { Clock } from "../../common/port/clock.ts";
import type { Random } from "../../common/port/random.ts";
import { type Store, StoreUnavailable } from "../../common/port/store.ts";
import type { Submission, SubmitOutcome } from "../../common/port/store-executions.ts";
import type { ActiveSpan, Tracing } from "../../common/telemetry/tracing.ts";
import { type GroupLimits, GroupQueue } from "../group-queue.ts";
import type { Hints } from "../hints.ts";
import type { MeshClock } from "../mesh-clock.ts";
import type { Roster } from "../sessions/roster.ts";
import type { RouteBook } from "./route-book.ts";
import type { Sender } from "./sender.ts";
import type { WaitingView } from "./waiting.ts";
import type { WaitingLimit } from "./waiting-limit.ts";

/** One call's execution, with what makes the call idempotent. */
export type NewSubmission = Omit<Submission, "slot">;

/** What a submitter needs. */
export type SubmitterDeps = {
  readonly store: Pick<Store, "executions">;
  readonly roster: Roster;
  readonly routes: RouteBook;
  readonly waiting: WaitingView;
  readonly limit: WaitingLimit;
  readonly sender: Sender;
  readonly hints: Hints;
  readonly clock: Clock;
  readonly meshClock: MeshClock;
  readonly random: Random;
  readonly tracing: Tracing;
};

/**
 * Defaults: groups end at 500 rows or 4 MiB (rules 5, 28); twenty thousand waiting are two seconds of a busy store, and
 * 256 MiB are 500 targets of the largest size.
 */
export const submitGroupDefaults: GroupLimits = {
  maxItems: 500,
  maxBytes: 4 * 1024 * 1024,
  maxWaiting: 20_000,
  maxWaitingBytes: 256 * 1024 * 1024,
};

/** Repeats that are looked for at once while as many executions wait as may. */
const MAX_LOOKUPS = 4;
/** Row without target and labels, for the size of a group. */
const ROW_BYTES = 512;

/**
 * Submitter stores executions in groups (rule 5). Where a slot is free here
 * and nothing of the same or a higher priority waits for it, the row is
 * inserted as DISPATCHED with a fresh fence and goes to its executor right
 * after the commit; else it is READY and waits to be claimed. Rows with gate
 * keys or a unique_key are grouped apart from plain ones.
 */
export class Submitter {
  readonly #deps: SubmitterDeps;
  #lookups = 0;
  readonly #plain: GroupQueue<NewSubmission, SubmitOutcome>;
  readonly #special: GroupQueue<NewSubmission, SubmitOutcome>;

  constructor(deps: SubmitterDeps, limits: GroupLimits = submitGroupDefaults) {
    this.#deps = deps;
    const work = { limits, keyOf, sizeOf, commit: (group: readonly NewSubmission[]) => this.#commit(group) };
    this.#plain = new GroupQueue(deps.clock, work);
    this.#special = new GroupQueue(deps.clock, work);
  }

  /** Submissions that wait for their group. */
  get waiting(): number {
    return this.#plain.waiting + this.#special.waiting;
  }

  /**
   * Stores one execution with others that come at the same time; resolves after
   * the commit. OVERLOADED when too many wait to be stored, WAITING_LIMIT when
   * too many are READY, STORE_UNAVAILABLE when the store is away (it may be
   * stored then: a request_id finds out), SHUTTING_DOWN after stop.
   */
  submit(submission: NewSubmission): Promise<SubmitOutcome> {
    const room = this.#deps.limit.check();
    return room === null ? this.#push(submission) : this.#submitIfRoom(submission, room);
  }

  #push(submission: NewSubmission): Promise<SubmitOutcome> {
    const isPlain = submission.execution.gateKeys.length === 0 && submission.unique == null;
    const queue = isPlain ? this.#plain : this.#special;
    return queue.push(submission);
  }

  /** A repeat needs no room: its caller hears what its request_id has made. */
  async #submitIfRoom(submission: NewSubmission, room: Promise<void>): Promise<SubmitOutcome> {
    try {
      await room;
    } catch (full) {
      const repeat = await this.#repeatOf(submission);
      if (repeat === null) throw full;
      return repeat;
    }
    return this.#push(submission);
  }

  /** Looked for by few at once: those who are refused must not keep what works the queue off from the store. */
  async #repeatOf({ request }: NewSubmission): Promise<SubmitOutcome | null> {
    if (request === null || this.#lookups >= MAX_LOOKUPS) return null;
    this.#lookups++;
    try {
      return await this.#deps.store.executions.repeatOf(request);
    } finally {
      this.#lookups--;
    }
  }

  /** Takes no more; resolves when what waits is stored and sent. */
  async stop(): Promise<void> {
    await Promise.all([this.#plain.stop(), this.#special.stop()]);
  }

  async #commit(group: readonly NewSubmission[]): Promise<readonly SubmitOutcome[]> {
    const { store, routes } = this.#deps;
    const spans = this.#startSpans(group);
    let placed: readonly Submission[] = [];
    try {
      const routeIds = new Set<RouteId>();
      for (const { execution } of group) {
        routes.of(execution);
        routeIds.add(execution.routeId);
      }
      await routes.ensure(routeIds);
      placed = this.#place(group);
      const outcomes = await store.executions.submit(placed);
      for (const span of spans) span.end();
      this.#follow(placed, outcomes);
      return outcomes;
    } catch (thrown) {
      for (const span of spans) span.end({ error: "the group was not stored" });
      // Whether it was committed may be unknown; what was is sent again by rule 19.
      for (const submission of placed) this.#release(submission);
      throw thrown instanceof StoreUnavailable ? new JobmeshError("STORE_UNAVAILABLE", { cause: thrown }) : thrown;
    }
  }

  /** Reserves slots for what may be dispatched directly; what may not is noted before it is stored, so that nothing overtakes it. */
  #place(group: readonly NewSubmission[]): readonly Submission[] {
    const { meshClock, waiting, roster, random, routes } = this.#deps;
    const nowUs = meshClock.nowUs();
    return group.map((submission) => {
      const { execution, unique } = submission;
      // One with a unique_key may turn out to be another one's: no slot waits for it.
      if (execution.readyUs > nowUs || execution.gateKeys.length > 0 || unique != null) {
        return { ...submission, slot: null };
      }
      const route = routes.of(execution);
      const rank = claimRank(execution.policy.priority);
      const placement = waiting.blocks(execution.routeId, route, rank) ? null : roster.reserve(route);
      if (placement === null) {
        waiting.note(execution.routeId, rank);
        return { ...submission, slot: null };
      }
      return { ...submission, slot: { ...placement, fence: random.fence() as Fence } };
    });
  }

  /** Sends what is dispatched, gives back slots that were not used, and tells what waits. */
  #follow(placed: readonly Submission[], outcomes: readonly SubmitOutcome[]): void {
    const ready = new Map<RouteId, { bestRank: number; count: number }>();
    for (const [index, submission] of placed.entries()) {
      const outcome = outcomes[index];
      const stored = outcome?.kind === "stored" ? outcome.execution : null;
      const { slot } = submission;
      if (outcome?.kind === "stored" && outcome.calledBack !== undefined) {
        this.#deps.hints.tell({ kind: "stop", executionId: outcome.calledBack });
      }
      if (slot !== null && stored?.state === "DISPATCHED" && stored.fence === slot.fence) {
        this.#deps.sender.send(stored, slot.sessionNumber);
        continue;
      }
      this.#release(submission);
      if (stored?.state === "READY") this.#deps.limit.added(1);
      if (stored?.state === "READY" && stored.blockedKey === null) {
        const rank = claimRank(stored.policy.priority);
        const known = ready.get(stored.routeId);
        if (known === undefined) ready.set(stored.routeId, { bestRank: rank, count: 1 });
        else ready.set(stored.routeId, { bestRank: Math.min(known.bestRank, rank), count: known.count + 1 });
      } else if (stored?.state === "SCHEDULED" && stored.readyUs !== null) {
        this.#deps.hints.tell({ kind: "due", executionId: stored.executionId, readyUs: stored.readyUs });
      }
    }
    for (const [routeId, { bestRank, count }] of ready) {
      this.#deps.waiting.note(routeId, bestRank);
      this.#deps.hints.tell({ kind: "ready", routeId, bestRank, count });
    }
  }

  #release({ slot, execution }: Submission): void {
    if (slot !== null) this.#deps.roster.release(slot, this.#deps.routes.of(execution));
  }

  /** One for each execution whose trace is exported: the group is one commit, a trace is one execution's. */
  #startSpans(group: readonly NewSubmission[]): readonly ActiveSpan[] {
    const { tracing } = this.#deps;
    if (!tracing.enabled) return [];
    const spans: ActiveSpan[] = [];
    for (const { execution } of group) {
      if (!tracing.records(execution.traceparent)) continue;
      spans.push(
        tracing.startSpan("jobmesh.store", {
          parent: execution.traceparent,
          tracestate: execution.tracestate,
          attributes: { "jobmesh.execution_id": execution.executionId, "jobmesh.batch.size": group.length },
        }),
      );
    }
    return spans;
  }
}

/** Those that the store would not take in one transaction; most have a key of their own or none. */
function keyOf({ request, unique }: NewSubmission): string | null {
  if (unique != null) return unique.hash;
  return request === null ? null : `${request.namespace}\n${request.method}\n${request.requestId}`;
}

function sizeOf({ execution }: NewSubmission): number {
  return ROW_BYTES + storedSize(execution) + execution.target.summary.length;
}
