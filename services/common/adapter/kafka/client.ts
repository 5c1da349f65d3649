import { connect, isIP, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import { Kafka, type KafkaConfig, type LogEntry, logLevel, type SASLOptions } from "kafkajs";
import type { Clock } from "../../port/clock.ts";
import type { Logger } from "../../runtime/log.ts";
import type { KafkaSecurity, KafkaUser } from "../../security/kafka-security.ts";
import type { EtcdTls } from "../../security/link-security.ts";
import "./request-queue-timer.ts";

/** What a client is opened with. */
export type ClientOptions = {
  readonly brokers: readonly string[];
  /** TLS and user; neither when left out. */
  readonly security?: KafkaSecurity | undefined;
  readonly clientId: string;
  /** How long an answer may take, milliseconds. */
  readonly requestTimeoutMs: number;
};

/** What clients need. */
export type ClientDeps = { readonly clock: Clock; readonly log: Logger };

const CONNECTION_TIMEOUT_MS = 1_000;
const KEEP_ALIVE_MS = 60_000;
/** Between two lines of kafkajs' own complaints: in an outage it has one for each try. */
const COMPLAINT_INTERVAL_MS = 10_000;

/** Tries that kafkajs makes by itself, about a second's worth; what lasts longer is ours to mend. */
export const RETRY = { initialRetryTime: 50, maxRetryTime: 250, multiplier: 2, retries: 5 } as const;

/**
 * KafkaClient is kafkajs with sockets that we can cut. Its own disconnect waits
 * for requests that a broker which hangs never answers, and its retries go on
 * after it; without sockets both end, after a while, and nobody waits for that.
 */
export class KafkaClient {
  readonly kafka: Kafka;
  readonly #clock: Clock;
  readonly #sockets = new Set<Socket>();
  readonly #onCut = new Set<() => void>();
  #cut = false;

  constructor(deps: ClientDeps, options: ClientOptions) {
    this.#clock = deps.clock;
    const { tls = null, user = null } = options.security ?? {};
    const dialed = tlsOptions(tls);
    this.kafka = new Kafka({
      brokers: [...options.brokers],
      clientId: options.clientId,
      connectionTimeout: CONNECTION_TIMEOUT_MS,
      requestTimeout: options.requestTimeoutMs,
      retry: RETRY,
      ...(user === null ? {} : { sasl: saslOf(user) }),
      // Only to know that passwords are covered: the socket is ours.
      ssl: tls !== null,
      socketFactory: ({ host, port, onConnect }) => this.#socket({ host, port }, dialed, onConnect),
      logLevel: logLevel.WARN,
      logCreator: () => this.#quietWhenCut(complaints(deps)),
    } satisfies KafkaConfig);
  }

  /** Cuts all connections, now and from now on. */
  cut(): void {
    this.#cut = true;
    for (const socket of this.#sockets) socket.destroy(new Error("the connection was cut by this process"));
    for (const tell of [...this.#onCut]) tell();
  }

  /** Does what needs the broker. Rejects when that takes longer than the limit, for which the client is cut, or is cut. */
  async use<T>(limitMs: number, work: () => Promise<T>): Promise<T> {
    const { promise, reject } = Promise.withResolvers<never>();
    const tell = (): void => reject(new Error("the connection was cut"));
    const timer = this.#clock.setTimer(limitMs, () => this.cut());
    this.#onCut.add(tell);
    try {
      if (this.#cut) tell();
      return await Promise.race([work(), promise]);
    } finally {
      timer.cancel();
      this.#onCut.delete(tell);
    }
  }

  /** Closes in kafkajs' own way where that ends in time; then cuts what is left. True when all went in order. */
  async close(limitMs: number, disconnect: () => Promise<void>): Promise<boolean> {
    const inOrder = await this.use(limitMs, disconnect).then(
      () => true,
      () => false,
    );
    this.cut();
    return inOrder;
  }

  /** What fails because we cut it is no news. */
  #quietWhenCut(say: (entry: LogEntry) => void): (entry: LogEntry) => void {
    return (entry) => {
      if (!this.#cut) say(entry);
    };
  }

  /** kafkajs leaves Nagle's algorithm on, which holds back small requests for the answer to the one before. */
  #socket(
    at: { readonly host: string; readonly port: number },
    tls: ConnectionOptions | null,
    onConnect: () => void,
  ): Socket {
    const named = isIP(at.host) === 0 ? { servername: at.host } : {};
    const socket = tls === null ? connect(at, onConnect) : connectTls({ ...at, ...named, ...tls }, onConnect);
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    // kafkajs listens too, but one that is cut must not end the process when it has stopped listening.
    socket.on("error", () => {});
    socket.once("close", () => this.#sockets.delete(socket));
    this.#sockets.add(socket);
    if (this.#cut) process.nextTick(() => socket.destroy(new Error("this client was closed")));
    return socket;
  }
}

function tlsOptions(tls: EtcdTls | null): ConnectionOptions | null {
  if (tls === null) return null;
  const shown = tls.identity === null ? {} : { cert: tls.identity.cert, key: tls.identity.key.reveal() };
  return { ...(tls.ca === null ? {} : { ca: tls.ca }), ...shown };
}

function saslOf({ mechanism, username, password }: KafkaUser): SASLOptions {
  return { mechanism, username, password: password.reveal() };
}

/**
 * Logs what kafkajs says. What it calls an error is mostly a try that failed
 * and is made again: one in ten seconds is a warning, the others are for whoever
 * debugs. So are connections that fail and answers that are errors: what
 * matters of them is thrown, or told by health.
 */
function complaints({ clock, log }: ClientDeps): (entry: LogEntry) => void {
  let quietUntilMs = Number.NEGATIVE_INFINITY;
  return ({ namespace, level, log: { message, groupId, broker, error } }) => {
    const fields = { from: namespace, detail: message, groupId, broker, error };
    const nowMs = clock.monotonicMs();
    const isLoud = level === logLevel.ERROR && namespace !== "Connection" && nowMs >= quietUntilMs;
    if (!isLoud) return log.debug(fields, "kafkajs says");
    quietUntilMs = nowMs + COMPLAINT_INTERVAL_MS;
    log.warn(fields, "kafkajs complains");
  };
}
