import { assert } from "../../common/domain/assert.ts";
import type { DispatchOrder } from "../../common/domain/dispatch.ts";
import type { Execution } from "../../common/domain/execution.ts";
import { holdUntilUs } from "../../common/domain/held-fire.ts";
import type { SchedulerBus } from "../../common/port/bus.ts";
import type { Clock, Timer } from "../../common/port/clock.ts";
import type { Logger } from "../../common/runtime/log.ts";
import { attemptFacts } from "../../common/telemetry/attempt-facts.ts";
import type { ActiveSpan, Tracing } from "../../common/telemetry/tracing.ts";
import type { HomedExecutor } from "../sessions/homed-executor.ts";
import type { Roster } from "../sessions/roster.ts";

/** What a sender needs. */
export type SenderDeps = {
  readonly roster: Roster;
  /** null where there is none: everything goes down the sessions. */
  readonly bus: SchedulerBus | null;
  readonly clock: Clock;
  readonly tracing: Tracing;
  readonly log: Logger;
};

/** Settings of a sender. */
export type SenderConfig = {
  /** What the bus has not taken after this goes down the session as well (rule 19). */
  readonly busPatienceMs: number;
};

/** Defaults of SenderConfig. */
export const senderDefaults: SenderConfig = { busPatienceMs: 1_000 };

type Sending = { readonly order: DispatchOrder; readonly dueMs: number; done: boolean };

/**
 * Sender brings claimed attempts to their executors: by the executor's lane
 * where it has one and the bus is well, else down its session. What the bus
 * refuses, or has not taken within a second, goes down the session (rule 19);
 * the key removes the second copy. What finds no way is sent again by whoever
 * is the executor's home two beats later.
 */
export class Sender {
  readonly #deps: SenderDeps;
  readonly #config: SenderConfig;
  /** Orders that the bus has not answered, oldest first. */
  readonly #onBus = new Set<Sending>();
  #patience: Timer | null = null;

  constructor(deps: SenderDeps, config: SenderConfig = senderDefaults) {
    this.#deps = deps;
    this.#config = config;
  }

  /** Orders that the bus has not taken yet. */
  get underWay(): number {
    return this.#onBus.size;
  }

  /** Sends an attempt that was claimed for the session. Returns at once. */
  send(execution: Execution, sessionNumber: number): void {
    const span = this.#startSpan(execution);
    const order = orderOf(execution, sessionNumber, span);
    const executor = this.#deps.roster.get(order.executorId);
    const lane = executor?.profile.lane ?? null;
    const { bus } = this.#deps;
    if (executor === undefined || executor.profile.incarnation !== order.incarnation) {
      span?.end({ error: "its executor is not homed here any more" });
    } else if (bus !== null && lane !== null && bus.health().healthy) {
      span?.set({
        "messaging.system": "kafka",
        "messaging.operation.type": "send",
        "messaging.destination.partition.id": String(lane),
      });
      this.#sendByBus(bus, lane, order, span);
    } else {
      this.#sendBySession(order);
      span?.end();
    }
  }

  /** Rule 19: sends an attempt down the session under its present number. False when the session is over. */
  resend(execution: Execution, executor: HomedExecutor): boolean {
    const span = this.#startSpan(execution);
    const sent = executor.link.sendOrder(orderOf(execution, executor.sessionNumber, span));
    span?.end(sent ? {} : { error: "the session is over" });
    return sent;
  }

  /** Sends nothing down the sessions any more. What the bus has, it has. */
  stop(): void {
    this.#patience?.cancel();
    this.#patience = null;
    this.#onBus.clear();
  }

  #sendByBus(bus: SchedulerBus, lane: number, order: DispatchOrder, span: ActiveSpan | null): void {
    const dueMs = this.#deps.clock.monotonicMs() + this.#config.busPatienceMs;
    const sending: Sending = { order, dueMs, done: false };
    this.#onBus.add(sending);
    this.#armPatience();
    bus.sendOrder(lane, order).then(
      () => {
        this.#finish(sending);
        span?.end();
      },
      (thrown: unknown) => {
        if (this.#finish(sending)) this.#sendBySession(order);
        span?.end({ error: "the bus did not take it" });
        this.#deps.log.debug({ err: thrown, ...attemptFacts(order) }, "the bus did not take an order");
      },
    );
  }

  #finish(sending: Sending): boolean {
    const first = !sending.done;
    sending.done = true;
    return this.#onBus.delete(sending) && first;
  }

  /** One timer for all: orders are answered in order, so the oldest is the next to lose patience with. */
  #armPatience(): void {
    if (this.#patience !== null) return;
    const [oldest] = this.#onBus;
    if (oldest === undefined) return;
    const delayMs = Math.max(oldest.dueMs - this.#deps.clock.monotonicMs(), 1);
    this.#patience = this.#deps.clock.setTimer(delayMs, () => {
      this.#patience = null;
      this.#losePatience();
      this.#armPatience();
    });
  }

  #losePatience(): void {
    const nowMs = this.#deps.clock.monotonicMs();
    let count = 0;
    for (const sending of this.#onBus) {
      if (sending.dueMs > nowMs) break;
      this.#finish(sending);
      this.#sendBySession(sending.order);
      count += 1;
    }
    if (count > 0) this.#deps.log.warn({ count }, "the bus is slow: orders went down the sessions");
  }

  #sendBySession(order: DispatchOrder): void {
    const executor = this.#deps.roster.get(order.executorId);
    // A later session numbers its keys anew; there the resend of rule 19 counts it.
    if (executor === undefined || executor.sessionNumber !== order.sessionNumber) return;
    if (executor.profile.incarnation === order.incarnation) executor.link.sendOrder(order);
  }

  /** The span that the executor's side continues; null where this trace is not exported, which then costs nothing. */
  #startSpan(execution: Execution): ActiveSpan | null {
    const { tracing } = this.#deps;
    if (!tracing.records(execution.traceparent)) return null;
    return tracing.startSpan("jobmesh.dispatch", {
      parent: execution.traceparent,
      tracestate: execution.tracestate,
      kind: "producer",
      attributes: {
        "jobmesh.execution_id": execution.executionId,
        "jobmesh.attempt": execution.attempt,
        "jobmesh.executor_id": execution.executorId ?? "",
        "jobmesh.namespace": execution.namespace,
        "jobmesh.job_id": execution.jobId ?? "",
        "jobmesh.target": execution.target.kind,
      },
    });
  }
}

function orderOf(execution: Execution, sessionNumber: number, span: ActiveSpan | null): DispatchOrder {
  const { fence, executorId, incarnation, dispatchUs } = execution;
  assert(fence !== null && executorId !== null && incarnation !== null && dispatchUs !== null, "it was claimed");
  return {
    key: { executionId: execution.executionId, attempt: execution.attempt, fence },
    executorId,
    incarnation,
    namespace: execution.namespace,
    jobId: execution.jobId ?? "",
    target: execution.target,
    timeoutMs: execution.policy.timeoutMs,
    startDeadlineUs: execution.startDeadlineUs,
    holdUntilUs: holdUntilUs(execution),
    scheduledUs: execution.scheduledUs,
    maxAttempts: execution.policy.retry.maxAttempts,
    labels: execution.labels,
    ...(execution.parameters == null ? {} : { parameters: execution.parameters }),
    sessionNumber,
    dispatchUs,
    traceparent: span?.traceparent ?? execution.traceparent,
    tracestate: span?.tracestate ?? execution.tracestate,
  };
}
