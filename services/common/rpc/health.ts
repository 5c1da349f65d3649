import type { HealthCheckResponse } from "../../../gen/grpc/health/v1/health.ts";
import { HealthService, HealthCheckResponse_ServingStatus as Status } from "../../../gen/grpc/health/v1/health.ts";
import { JobmeshError } from "../error/jobmesh-error.ts";
import type { CallContext, SendStream } from "./contract.ts";
import type { RpcServer } from "./rpc-server.ts";

/** How a service stands. */
export type ServingStatus = "SERVING" | "NOT_SERVING";

/**
 * grpc.health.v1: how the process as a whole, under the empty name, and each of
 * its services stand. All are NOT_SERVING until somebody says otherwise.
 */
export class Health {
  readonly #statuses = new Map<string, ServingStatus>([["", "NOT_SERVING"]]);
  readonly #watchers = new Map<string, Set<SendStream<HealthCheckResponse>>>();

  /** Sets one service; the empty name is the process as a whole. Watchers hear of a change at once. */
  setStatus(service: string, status: ServingStatus): void {
    if (this.#statuses.get(service) === status) return;
    this.#statuses.set(service, status);
    for (const stream of this.#watchers.get(service) ?? []) stream.send({ status: Status[status] });
  }

  /** Sets the process and all services that are known. */
  setAll(status: ServingStatus): void {
    for (const service of [...this.#statuses.keys()]) this.setStatus(service, status);
  }

  /** Serves it, and takes in what the server serves. To be called after the other services were added. */
  addTo(server: RpcServer): void {
    for (const service of server.services) this.setStatus(service, "NOT_SERVING");
    server.addService(HealthService, {
      check: ({ service }) => {
        const status = this.#statuses.get(service);
        if (status !== undefined) return { status: Status[status] };
        throw new JobmeshError("SERVICE_NOT_FOUND", { metadata: { service } });
      },
      list: () => ({
        statuses: Object.fromEntries([...this.#statuses].map(([name, status]) => [name, { status: Status[status] }])),
      }),
      watch: ({ service }, stream, context) => this.#watch(service, stream, context),
    });
  }

  /** Runs until the caller leaves or the server stops. An unknown service is watched too: it may come. */
  async #watch(service: string, stream: SendStream<HealthCheckResponse>, context: CallContext): Promise<void> {
    const status = this.#statuses.get(service);
    stream.send({ status: status === undefined ? Status.SERVICE_UNKNOWN : Status[status] });
    const watchers = this.#watchers.get(service) ?? new Set();
    this.#watchers.set(service, watchers.add(stream));
    const over = AbortSignal.any([context.signal, context.stopping]);
    if (!over.aborted) await new Promise((resolve) => over.addEventListener("abort", resolve, { once: true }));
    watchers.delete(stream);
    if (watchers.size === 0) this.#watchers.delete(service);
    throw over.reason;
  }
}
