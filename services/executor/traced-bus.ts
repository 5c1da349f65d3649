import type { AttemptResult } from "../common/domain/attempt.ts";
import type { DispatchOrder } from "../common/domain/dispatch.ts";
import type { ExecutorBus, Health, ResultPosition } from "../common/port/bus.ts";
import type { Tracing } from "../common/telemetry/tracing.ts";

/** The bus, with a span for each result on its way, which whoever stores the result continues. */
export function tracedBus(bus: ExecutorBus, tracing: Tracing): ExecutorBus {
  return tracing.enabled ? new TracedBus(bus, tracing) : bus;
}

class TracedBus implements ExecutorBus {
  readonly #bus: ExecutorBus;
  readonly #tracing: Tracing;

  constructor(bus: ExecutorBus, tracing: Tracing) {
    this.#bus = bus;
    this.#tracing = tracing;
  }

  get kind(): ExecutorBus["kind"] {
    return this.#bus.kind;
  }

  get resultPartitions(): number {
    return this.#bus.resultPartitions;
  }

  start(lane: number): Promise<void> {
    return this.#bus.start(lane);
  }

  stop(): Promise<void> {
    return this.#bus.stop();
  }

  health(): Health {
    return this.#bus.health();
  }

  onOrder(handler: (order: DispatchOrder) => void): void {
    this.#bus.onOrder(handler);
  }

  sendResult(partition: number, result: AttemptResult): Promise<ResultPosition> {
    if (!this.#tracing.records(result.traceparent)) return this.#bus.sendResult(partition, result);
    const span = this.#tracing.startSpan("jobmesh.produce", {
      parent: result.traceparent,
      tracestate: result.tracestate ?? null,
      kind: "producer",
      attributes: {
        "jobmesh.execution_id": result.key.executionId,
        "jobmesh.attempt": result.key.attempt,
        "jobmesh.executor_id": result.executorId,
        "messaging.system": "kafka",
        "messaging.operation.type": "send",
        "messaging.destination.partition.id": String(partition),
      },
    });
    const sent = this.#bus.sendResult(partition, { ...result, traceparent: span.traceparent });
    sent.then(
      ({ offset }) => {
        span.set({ "messaging.kafka.message.offset": offset });
        span.end();
      },
      () => span.end({ error: "the bus did not take it" }),
    );
    return sent;
  }
}
