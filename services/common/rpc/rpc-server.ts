import { Server } from "@grpc/grpc-js";
import { checkListener, formatHostPort, listenError, parseHostPort } from "../config/listen-address.ts";
import { JobmeshError } from "../error/jobmesh-error.ts";
import type { Clock } from "../port/clock.ts";
import type { Logger } from "../runtime/log.ts";
import { type ListenerSecurity, OPEN_LISTENER } from "../security/link-security.ts";
import { type Metrics, silentMetrics } from "../telemetry/metrics.ts";
import type { Tracing } from "../telemetry/tracing.ts";
import { DEFAULT_STREAM_LIMITS, type Handlers, type ServiceShape, type StreamLimits } from "./contract.ts";
import { serverCredentials } from "./credentials.ts";
import { quietGrpc } from "./grpc-log.ts";
import {
  DEFAULT_KEEPALIVE_TIME_MS,
  DEFAULT_KEEPALIVE_TIMEOUT_MS,
  DEFAULT_MAX_MESSAGE_BYTES,
  HARD_LIMIT_FACTOR,
} from "./limits.ts";
import { ServerMethod, type ServerScope } from "./server-method.ts";
import { TokenGate } from "./token.ts";
import { tokenInterceptor } from "./token-interceptor.ts";

/** What a server needs. */
export interface RpcServerDeps {
  readonly log: Logger;
  readonly clock: Clock;
  /** Without it calls are not traced; their traceparent still reaches the handlers. */
  readonly tracing?: Tracing;
  /** Without them calls are not counted. */
  readonly metrics?: Metrics;
}

/** Settings of a server. */
export interface RpcServerConfig {
  /** "host:port"; port 0 lets the system choose. */
  readonly listen: string;
  /** Allows a listener beyond loopback without TLS and authentication; default false. */
  readonly insecure?: boolean;
  /** TLS, and the tokens that every call but grpc.health.v1 needs one of; by default neither. */
  readonly security?: ListenerSecurity;
  /** Largest request, in bytes; default 4 MiB. */
  readonly maxMessageBytes?: number;
  /** Silence on a connection before it is probed, in milliseconds; default 1,000. */
  readonly keepaliveTimeMs?: number;
  /** Wait for the probe's answer before the connection is dropped; default 1,500. */
  readonly keepaliveTimeoutMs?: number;
  /** Limits of each stream's buffer. */
  readonly streamLimits?: StreamLimits;
}

/** How long calls may take to say that they were stopped, before their connections are cut. */
const HARD_STOP_MS = 250;

/**
 * The gRPC server of a process. Handlers are plain functions, typed by the
 * service definition; their errors become statuses with google.rpc details.
 */
export class RpcServer {
  readonly #deps: RpcServerDeps;
  readonly #config: RpcServerConfig;
  readonly #server: Server;
  readonly #scope: ServerScope;
  readonly #stopping = new AbortController();
  readonly #services = new Set<string>();
  #starting: Promise<{ address: string }> | null = null;
  #stopped: Promise<void> | null = null;

  constructor(deps: RpcServerDeps, config: RpcServerConfig) {
    quietGrpc();
    this.#deps = deps;
    this.#config = config;
    const maxMessageBytes = config.maxMessageBytes ?? DEFAULT_MAX_MESSAGE_BYTES;
    this.#scope = {
      log: deps.log,
      clock: deps.clock,
      tracing: deps.tracing?.enabled ? deps.tracing : null,
      metrics: deps.metrics ?? silentMetrics,
      stopping: this.#stopping.signal,
      active: new Set(),
      reported: new WeakSet(),
      maxMessageBytes,
      streamLimits: config.streamLimits ?? DEFAULT_STREAM_LIMITS,
    };
    const gate = new TokenGate(config.security?.tokens ?? []);
    this.#server = new Server({
      interceptors: gate.isShut ? [tokenInterceptor(gate, this.#scope.metrics)] : [],
      "grpc.keepalive_time_ms": config.keepaliveTimeMs ?? DEFAULT_KEEPALIVE_TIME_MS,
      "grpc.keepalive_timeout_ms": config.keepaliveTimeoutMs ?? DEFAULT_KEEPALIVE_TIMEOUT_MS,
      "grpc.max_receive_message_length": maxMessageBytes * HARD_LIMIT_FACTOR,
      "grpc.max_send_message_length": -1,
      "grpc.enable_channelz": 0,
    });
  }

  /** Full names of the services that this server has. */
  get services(): readonly string[] {
    return [...this.#services];
  }

  /** Serves a service. Methods without a handler are answered UNIMPLEMENTED. To be called before start. */
  addService<S extends ServiceShape>(definition: S, handlers: Handlers<S>): this {
    const byName: Readonly<Record<string, unknown>> = handlers;
    for (const [name, shape] of Object.entries(definition)) {
      const method = new ServerMethod(shape, byName[name], this.#scope);
      this.#services.add(method.service);
      if (!method.register(this.#server)) throw new Error(`${shape.path} was added twice`);
    }
    return this;
  }

  /** Binds. Throws LISTENER_INSECURE, ADDRESS_IN_USE or ADDRESS_UNUSABLE, and then holds nothing. */
  start(): Promise<{ address: string }> {
    this.#starting ??= this.#start();
    return this.#starting;
  }

  /**
   * Stops: no new calls, then `graceMs` for those that run, then what is left
   * ends with SHUTTING_DOWN and the connections are cut.
   */
  stop(graceMs: number): Promise<void> {
    this.#stopped ??= this.#stop(graceMs);
    return this.#stopped;
  }

  async #start(): Promise<{ address: string }> {
    const { listen, insecure = false, security = OPEN_LISTENER } = this.#config;
    const lacks = checkListener(listen, insecure, security);
    const port = await new Promise<number>((resolve, reject) => {
      this.#server.bindAsync(listen, serverCredentials(security.tls), (error, bound) => {
        if (error) reject(listenError(listen, error));
        else resolve(bound);
      });
    }).catch((error: unknown) => {
      this.#server.forceShutdown();
      throw error;
    });
    const address = formatHostPort({ host: parseHostPort(listen)?.host ?? "127.0.0.1", port });
    if (lacks !== null)
      this.#deps.log.warn({ address, lacks }, "listening beyond loopback insecurely: whoever reaches it can run jobs");
    return { address };
  }

  async #stop(graceMs: number): Promise<void> {
    if (this.#starting !== null) await this.#starting.catch(() => {});
    this.#stopping.abort(new JobmeshError("SHUTTING_DOWN"));
    const drained = new Promise<void>((resolve) => this.#server.tryShutdown(() => resolve()));
    if (await this.#within(drained, graceMs)) return;
    const reason = new JobmeshError("SHUTTING_DOWN");
    for (const call of [...this.#scope.active]) call.abort(reason);
    await this.#within(drained, HARD_STOP_MS);
    this.#server.forceShutdown();
  }

  /** True when the promise settled within the time. */
  async #within(promise: Promise<void>, timeMs: number): Promise<boolean> {
    const over = new AbortController();
    const settled = promise.then(() => true);
    const late = this.#deps.clock.sleep(timeMs, over.signal).then(() => false);
    const inTime = await Promise.race([settled, late]);
    over.abort();
    return inTime;
  }
}
