import { HealthService, HealthCheckResponse_ServingStatus as Serving } from "../../gen/grpc/health/v1/health.ts";
import type { BackendStatus } from "../../gen/jobmesh/v1/mesh_service.ts";
import type { MeshClient } from "../../services/client/mesh-client.ts";
import { RpcChannel } from "../../services/common/rpc/rpc-channel.ts";
import { serviceClient } from "../../services/common/rpc/service-client.ts";
import { SystemClock } from "../../services/common/runtime/system-clock.ts";
import { outsideTurn } from "./outside-turn.ts";
import { readTruth } from "./truth-log.ts";

/** What one look at a scheduler told. */
export type Look = { readonly atMs: number; readonly backends: readonly BackendStatus[]; readonly serving: boolean };

/** Asks one scheduler again and again how it and its backends stand, and keeps count of what has run by the truth. */
export class OutageWatch {
  readonly looks: Look[] = [];
  /** Calls that got no answer: neither status nor liveness may ever lack one. */
  readonly failures: string[] = [];
  /** How many attempts had started by when, by the outside record; an entry for each change. */
  readonly starts: { readonly atMs: number; readonly count: number }[] = [];
  readonly #channel: RpcChannel;
  readonly #loops: Promise<unknown>;
  #stopped = false;

  constructor(client: MeshClient, address: string, truthPath: string) {
    this.#channel = new RpcChannel({ clock: new SystemClock() }, { target: address });
    this.#loops = Promise.all([this.#watchStatus(client), this.#watchTruth(truthPath)]);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#loops;
    this.#channel.close();
  }

  /** Milliseconds from a time until a backend was first named as away; infinite when it never was. */
  namedAfterMs(fromMs: number, role: string): number {
    return this.#firstMs(fromMs, role, false);
  }

  /** Milliseconds from a time until a backend was well again. */
  wellAfterMs(fromMs: number, role: string): number {
    return this.#firstMs(fromMs, role, true);
  }

  /** Milliseconds from a time until the next attempt started, by the outside record. */
  startedAfterMs(fromMs: number): number {
    return (this.starts.find(({ atMs }) => atMs >= fromMs)?.atMs ?? Number.POSITIVE_INFINITY) - fromMs;
  }

  /** Attempts that had started by a time. */
  startedBy(ms: number): number {
    return this.starts.findLast(({ atMs }) => atMs <= ms)?.count ?? 0;
  }

  #firstMs(fromMs: number, role: string, healthy: boolean): number {
    const found = this.looks.find(
      ({ atMs, backends }) => atMs >= fromMs && backends.some((one) => one.role === role && one.healthy === healthy),
    );
    return (found?.atMs ?? Number.POSITIVE_INFINITY) - fromMs;
  }

  async #watchStatus(client: MeshClient): Promise<void> {
    const health = serviceClient(HealthService, this.#channel);
    while (!this.#stopped) {
      try {
        const [{ backends }, { status }] = await Promise.all([
          client.mesh.getMeshStatus({}),
          health.check({ service: "" }),
        ]);
        this.looks.push({ atMs: performance.now(), backends, serving: status === Serving.SERVING });
      } catch (error) {
        this.failures.push(String(error));
      }
      await outsideTurn();
    }
  }

  async #watchTruth(path: string): Promise<void> {
    while (!this.#stopped) {
      const count = readTruth(path).starts.length;
      if (count !== (this.starts.at(-1)?.count ?? 0)) this.starts.push({ atMs: performance.now(), count });
      for (let turn = 0; turn < 5; turn += 1) await outsideTurn();
    }
  }
}
