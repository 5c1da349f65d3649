/** Calls between simulated processes: a client finds the handlers of whoever serves at an address. */
import { JobmeshError } from "../../services/common/error/jobmesh-error.ts";
import type { CallContext, DuplexStream, MethodShape } from "../../services/common/rpc/contract.ts";
import type { Served } from "../../services/scheduler/served.ts";
import type { Network } from "./network.ts";
import type { Place } from "./stream.ts";

/** A server that runs. */
export type Server = {
  readonly place: Place;
  readonly services: readonly Served[];
  /** Aborts when it begins to stop. */
  readonly stopping: AbortSignal;
};

type StreamHandler = (request: unknown, stream: unknown, context: CallContext) => unknown;
type AnyHandler = (request: unknown, context: CallContext) => unknown;

/** Rpc carries calls to whoever serves now. */
export class Rpc {
  readonly #network: Network;
  readonly #servers = new Map<string, Server>();
  readonly #onBug: (who: string, error: unknown) => void;

  constructor(network: Network, onBug: (who: string, error: unknown) => void) {
    this.#network = network;
    this.#onBug = onBug;
  }

  /** Serves at an address, until its process dies or another one does. */
  serve(address: string, server: Server): void {
    this.#servers.set(address, server);
  }

  /** Opens a stream. Never throws: what cannot be reached closes it. */
  dial<Up, Down>(from: Place, address: string, method: MethodShape): DuplexStream<Down, Up> {
    const server = this.#servers.get(address);
    const place = server?.place ?? { process: from.process, machine: address };
    const { client, server: far } = this.#network.stream<Up, Down>(method, from, place);
    if (server === undefined || !server.place.process.isAlive) {
      from.process.deliver(this.#network.latencyMs(), () => client.fail(unreachable(address)));
      return client;
    }
    const handler = handlerOf(server, method.path) as unknown as (stream: unknown, context: CallContext) => void;
    this.#network.opened(far, () => {
      try {
        handler(far, context(method.path, server, null, never));
      } catch (thrown) {
        far.fail(thrown);
      }
    });
    return client;
  }

  /** Calls a method that answers with a stream. Never throws, as `dial`. */
  follow<Req, Res>(from: Place, address: string, method: MethodShape, request: Req): DuplexStream<Res, Req> {
    const server = this.#servers.get(address);
    const place = server?.place ?? { process: from.process, machine: address };
    const { client, server: far } = this.#network.stream<Req, Res>(method, from, place);
    if (server === undefined || !server.place.process.isAlive) {
      from.process.deliver(this.#network.latencyMs(), () => client.fail(unreachable(address)));
      return client;
    }
    const bytes = method.requestSerialize(request as never);
    const gone = new AbortController();
    far.onClosed(() => gone.abort());
    this.#network.opened(far, () => {
      const handler = handlerOf(server, method.path) as unknown as StreamHandler;
      Promise.resolve()
        .then(() => handler(method.requestDeserialize(bytes), far, context(method.path, server, null, gone.signal)))
        .then(
          () => far.end(),
          (thrown: unknown) => {
            const error = JobmeshError.from(thrown);
            if (error.reason === "INTERNAL") this.#onBug(server.place.process.name, thrown);
            far.fail(error);
          },
        );
    });
    return client;
  }

  /** Calls a unary method; rejects with a JobmeshError, as a client sees it. */
  call<Req, Res>(from: Place, address: string, method: MethodShape, request: Req, options: CallOptions): Promise<Res> {
    const server = this.#servers.get(address);
    const network = this.#network;
    const bytes = method.requestSerialize(request as never);
    return new Promise<Res>((resolve, reject) => {
      const gone = new AbortController();
      const late = from.process.setTimer(options.timeoutMs, () => {
        reject(new JobmeshError("DEADLINE"));
        if (server !== undefined)
          server.place.process.deliver(network.latencyMs(), () => gone.abort(new JobmeshError("DEADLINE")));
      });
      const refuse = (): void => {
        late.cancel();
        reject(unreachable(address));
      };
      if (server === undefined || !server.place.process.isAlive) {
        from.process.deliver(network.latencyMs(), refuse);
        return;
      }
      const { process, machine } = server.place;
      process.onDeath(() => {
        if (!process.diedSilently && !network.isBlocked(machine, from.machine))
          from.process.deliver(network.latencyMs(), refuse);
      });
      if (network.isBlocked(from.machine, machine)) return;
      const back = (settle: () => void): void => {
        if (network.isBlocked(machine, from.machine)) return;
        from.process.deliver(network.latencyMs(), () => {
          late.cancel();
          settle();
        });
      };
      process.deliver(network.latencyMs(), () => {
        const called = context(method.path, server, options.traceparent, gone.signal);
        const handler = handlerOf(server, method.path);
        Promise.resolve()
          .then(() => handler(method.requestDeserialize(bytes), called))
          .then(
            (response) => {
              const answer = method.responseSerialize(response as never);
              back(() => resolve(method.responseDeserialize(answer) as Res));
            },
            (thrown: unknown) => {
              const error = JobmeshError.from(thrown);
              if (error.reason === "INTERNAL") this.#onBug(process.name, thrown);
              back(() => reject(error));
            },
          );
      });
    });
  }
}

/** What a unary call is made with. */
export type CallOptions = { readonly timeoutMs: number; readonly traceparent: string | null };

const never = new AbortController().signal;

function unreachable(address: string): JobmeshError {
  return new JobmeshError("PEER_UNAVAILABLE", { message: `nobody answers at ${address}` });
}

function handlerOf(server: Server, path: string): AnyHandler {
  for (const { definition, handlers } of server.services) {
    for (const [name, method] of Object.entries(definition)) {
      const handler = (handlers as Readonly<Record<string, AnyHandler | undefined>>)[name];
      if (method.path === path && handler !== undefined) return handler;
    }
  }
  throw new Error(`${path} is not served`);
}

function context(method: string, server: Server, traceparent: string | null, signal: AbortSignal): CallContext {
  const { stopping } = server;
  return {
    method,
    signal,
    stopping,
    traceparent,
    deadlineMs: null,
    peer: "sim:0",
    tracestate: null,
    metadata: () => null,
  };
}
