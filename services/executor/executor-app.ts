import { loadConfig } from "../common/config/load-config.ts";
import type { ExecutorConfig as ExecutorSettings } from "../common/config/process-settings.ts";
import { checkSecurity } from "../common/config/security-relations.ts";
import { JobmeshError } from "../common/error/jobmesh-error.ts";
import type { MethodShape } from "../common/rpc/contract.ts";
import { createLogger, type Logger } from "../common/runtime/log.ts";
import { SystemClock } from "../common/runtime/system-clock.ts";
import { SystemRandom } from "../common/runtime/system-random.ts";
import { type SecurityOptions, valuesOf } from "../common/security/security-options.ts";
import type { ExecutorStatus } from "./executor.ts";
import { type ExecutorProcess, startExecutorProcess } from "./executor-process.ts";
import { methodDescriptors } from "./target/descriptors.ts";
import type { HandlerDefinition } from "./target/handler.ts";
import { type Handler, handlerDefinition, methodName } from "./target/typed-handler.ts";

/**
 * What an executor is made of. Everything is optional but for what its mesh
 * needs; a setting that is left out comes from the environment (JOBMESH_*,
 * docs/config.md), and from its default there.
 */
export type ExecutorOptions = SecurityOptions & {
  /** "host:port" or "etcd:///scheduler"; several are tried in turn. */
  readonly scheduler?: string | readonly string[];
  /** Stable over restarts, unique in the mesh: 1 to 64 of [A-Za-z0-9._-]. */
  readonly executorId?: string;
  /** Attempts that run at once. */
  readonly slots?: number;
  readonly labels?: Readonly<Record<string, string>>;
  /** Namespaces that it serves; all when empty. */
  readonly namespaces?: readonly string[];
  /** "host:port" of Kafka's brokers; without them work comes by the session alone. */
  readonly kafkaBrokers?: readonly string[];
  /** "http://host:port" of etcd. */
  readonly etcdEndpoints?: readonly string[];
  /** Name of the mesh. */
  readonly cluster?: string;
  /** Folder of this executor alone. */
  readonly dataDir?: string;
  /** Runs shell commands of whoever may submit them. */
  readonly allowCommands?: boolean;
  /** Makes gRPC calls of whoever may submit them; only where this, or JOBMESH_ALLOW_GRPC, says so. */
  readonly allowGrpc?: boolean;
  /** Sends HTTP requests of whoever may submit them; only where this, or JOBMESH_ALLOW_HTTP, says so. */
  readonly allowHttp?: boolean;
  /** Serialized FileDescriptorSet with the methods of all handlers, from `buf build -o image.binpb` or protoc. */
  readonly descriptors?: Uint8Array;
  /** Version of the program, for people. */
  readonly version?: string;
  /** Where it logs; JSON lines on standard error when left out. */
  readonly log?: Logger;
  /** Ends the process when a handler does not settle; see runUntilStopped. By default it is only logged. */
  readonly exitProcess?: (why: string) => void;
  /** Read in place of the process's environment. */
  readonly env?: Readonly<Record<string, string | undefined>>;
};

/** Settings of one handler. */
export type HandleOptions = {
  /** Of the executor's slots, at most this many; all when left out. */
  readonly slots?: number;
  /** Its own FileDescriptorSet, in place of the executor's. */
  readonly descriptors?: Uint8Array;
};

/** ExecutorApp is an executor with typed handlers, in a program of yours. */
export class ExecutorApp {
  readonly #options: ExecutorOptions;
  readonly #handlers = new Map<string, HandlerDefinition>();
  readonly #descriptorSets = new Map<string, Uint8Array>();
  #starting: Promise<ExecutorProcess> | null = null;

  constructor(options: ExecutorOptions) {
    this.#options = options;
  }

  /**
   * Registers a handler under a gRPC method. Throws CONFIG_INVALID when the
   * method has one already, or the descriptors do not have it.
   */
  handle<M extends MethodShape>(method: M, handler: Handler<M>, options: HandleOptions = {}): this {
    const name = methodName(method);
    if (this.#starting !== null) throw invalid(`${name} is registered after the start`);
    if (this.#handlers.has(name)) throw invalid(`${name} has a handler already`);
    if (method.requestStream || method.responseStream) throw invalid(`${name} is a stream; handlers are unary`);
    const given = options.descriptors ?? this.#options.descriptors;
    const descriptors = given === undefined ? null : methodDescriptors(given, name);
    if (descriptors !== null) this.#descriptorSets.set(descriptors.hash, descriptors.bytes);
    this.#handlers.set(name, handlerDefinition(method, handler, options.slots ?? 0, descriptors));
    return this;
  }

  /** What it is doing now; null before it has started. */
  async status(): Promise<ExecutorStatus | null> {
    return (await this.#starting)?.executor.status ?? null;
  }

  /** Starts, and resolves when a scheduler has taken the executor, or it was stopped before. */
  async start(): Promise<void> {
    this.#starting ??= this.#start();
    const { executor } = await this.#starting;
    await Promise.race([executor.welcomed, executor.left]);
  }

  /** Leaves: what runs may end, results are handed over. Called again, it hurries. */
  async stop(): Promise<void> {
    const running = await this.#starting?.catch(() => null);
    await running?.stop();
  }

  /** Resolves when it has left, by `stop` or because its scheduler asked. */
  async left(): Promise<void> {
    await (await this.#starting)?.executor.left;
  }

  async #start(): Promise<ExecutorProcess> {
    const settings = settingsOf(this.#options);
    const clock = new SystemClock();
    const random = new SystemRandom();
    const log = this.#options.log ?? createLogger({ level: settings.logLevel, serviceName: "jobmesh-executor" });
    const version = this.#options.version ?? "0.1.0";
    return startExecutorProcess(settings, {
      ...{ clock, random, log, version },
      handlers: [...this.#handlers.values()],
      descriptorSets: this.#descriptorSets,
      schedulers: [this.#options.scheduler ?? []].flat(),
      exitProcess:
        this.#options.exitProcess ?? ((why) => log.error({ why }, "the process should end, and nobody ends it")),
    });
  }
}

/** The environment's settings, and over them what was given in so many words. */
function settingsOf(options: ExecutorOptions): ExecutorSettings {
  const env = options.env ?? process.env;
  const { config } = loadConfig("executor", { env, argv: [] });
  const given = {
    executorId: options.executorId,
    slots: options.slots,
    labels: options.labels,
    namespaces: options.namespaces,
    kafkaBrokers: options.kafkaBrokers,
    etcdEndpoints: options.etcdEndpoints,
    cluster: options.cluster,
    dataDir: options.dataDir,
    allowCommands: options.allowCommands,
    // A program of handlers runs those, unless somebody asked for more.
    allowGrpc: options.allowGrpc ?? ((env.JOBMESH_ALLOW_GRPC ?? "") === "" ? false : undefined),
    allowHttp: options.allowHttp ?? ((env.JOBMESH_ALLOW_HTTP ?? "") === "" ? false : undefined),
  };
  const named = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const settings = { ...config, ...named, ...valuesOf(options) };
  // The environment's were checked without what the program says.
  const fieldViolations = checkSecurity(settings);
  if (fieldViolations.length > 0) throw new JobmeshError("CONFIG_INVALID", { fieldViolations });
  return settings;
}

function invalid(message: string): JobmeshError {
  return new JobmeshError("CONFIG_INVALID", { message });
}
