import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { TLSSocket } from "node:tls";
import { checkListener, formatHostPort, listenError, parseHostPort } from "../config/listen-address.ts";
import { JobmeshError } from "../error/jobmesh-error.ts";
import { TokenGate, tokenRefused } from "../rpc/token.ts";
import { type ListenerSecurity, OPEN_LISTENER } from "../security/link-security.ts";
import type { Logger } from "./log.ts";

/** Whether a process can take work, part by part. */
export type Readiness = Readonly<Record<string, boolean>>;

/** What the server shows. */
export interface HttpServerDeps {
  readonly log: Logger;
  /** Body of /metrics, as Prometheus text. */
  readonly renderMetrics: () => Promise<string>;
  /** Parts that have to be true for /readyz to be 200: store, registry, sessions. */
  readonly readiness: () => Readiness;
}

/** Settings of the server. */
export interface HttpServerConfig {
  /** "host:port"; port 0 lets the system choose. */
  readonly listen: string;
  /** Allows a listener beyond loopback without TLS and authentication; default false. */
  readonly insecure?: boolean;
  /** TLS, and the tokens and client certificates that /metrics needs; probes have none. By default neither. */
  readonly security?: ListenerSecurity;
}

/** Scrapers and probes are few; this bounds what a flood can hold. */
const MAX_CONNECTIONS = 64;

/** Longest a request may take to arrive. */
const REQUEST_TIMEOUT_MS = 5_000;

/** /metrics, /healthz (the process lives) and /readyz (it takes work), for scrapers and probes. */
export class HttpServer {
  readonly #deps: HttpServerDeps;
  readonly #config: HttpServerConfig;
  readonly #security: ListenerSecurity;
  readonly #gate: TokenGate;
  readonly #server: Server;
  #starting: Promise<{ address: string }> | null = null;

  constructor(deps: HttpServerDeps, config: HttpServerConfig) {
    this.#deps = deps;
    this.#config = config;
    this.#security = config.security ?? OPEN_LISTENER;
    this.#gate = new TokenGate(this.#security.tokens);
    this.#server = newServer(this.#security, (request, response) => void this.#answer(request, response));
    this.#server.maxConnections = MAX_CONNECTIONS;
  }

  /** Binds. Throws LISTENER_INSECURE, ADDRESS_IN_USE or ADDRESS_UNUSABLE. */
  start(): Promise<{ address: string }> {
    this.#starting ??= this.#start();
    return this.#starting;
  }

  /** Closes; connections that stand are cut. */
  async stop(): Promise<void> {
    await this.#starting?.catch(() => {});
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  async #start(): Promise<{ address: string }> {
    const { listen, insecure = false } = this.#config;
    const lacks = checkListener(listen, insecure, this.#security);
    const { host, port } = parseHostPort(listen) ?? { host: "127.0.0.1", port: 0 };
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", (cause) => reject(listenError(listen, cause)));
      this.#server.listen({ host, port, exclusive: true }, resolve);
    });
    const bound = this.#server.address();
    const address = formatHostPort({ host, port: typeof bound === "object" && bound !== null ? bound.port : port });
    if (lacks !== null) this.#deps.log.warn({ address, lacks }, "metrics are served beyond loopback insecurely");
    return { address };
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    request.resume();
    const { method = "", url = "" } = request;
    if (method !== "GET" && method !== "HEAD") return send(response, 405, "text/plain", "only GET and HEAD\n");
    switch (url.split("?", 1)[0]) {
      case "/healthz":
        return send(response, 200, "text/plain", "ok\n");
      case "/readyz":
        return this.#sendReadiness(response);
      case "/metrics":
        return await this.#sendMetrics(request, response);
      default:
        return send(response, 404, "text/plain", "there are /metrics, /healthz and /readyz\n");
    }
  }

  #sendReadiness(response: ServerResponse): void {
    const checks = this.#deps.readiness();
    const ready = Object.values(checks).every((isGood) => isGood);
    send(response, ready ? 200 : 503, "application/json", `${JSON.stringify({ ready, checks })}\n`);
  }

  /** What is set is needed, as by gRPC: a certificate of the right issuer, and a token. */
  async #sendMetrics({ socket, headers }: IncomingMessage, response: ServerResponse): Promise<void> {
    const needsCertificate = this.#security.tls !== null && this.#security.tls.clientCa !== null;
    if (needsCertificate && !(socket instanceof TLSSocket && socket.authorized)) {
      return send(response, 403, "text/plain", "a client certificate of the right authority is needed\n");
    }
    if (!this.#gate.admits(headers.authorization)) {
      response.setHeader("www-authenticate", "Bearer");
      return send(response, 401, "text/plain", `${tokenRefused().message}\n`);
    }
    try {
      send(response, 200, "text/plain; version=0.0.4; charset=utf-8", await this.#deps.renderMetrics());
    } catch (thrown) {
      this.#deps.log.error({ err: thrown }, "metrics could not be rendered");
      send(response, 500, "text/plain", `${JobmeshError.from(thrown).message}\n`);
    }
  }
}

/** Probes show no certificate: one is asked for, and who has none is only kept from the metrics. */
function newServer({ tls }: ListenerSecurity, listener: RequestListener): Server {
  const times = {
    requestTimeout: REQUEST_TIMEOUT_MS,
    headersTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: REQUEST_TIMEOUT_MS,
  };
  if (tls === null) return createServer(times, listener);
  const { cert, key } = tls.identity;
  const asked = tls.clientCa === null ? {} : { ca: tls.clientCa, requestCert: true, rejectUnauthorized: false };
  return createTlsServer(
    { ...times, cert, key: key.reveal(), ...asked, handshakeTimeout: REQUEST_TIMEOUT_MS },
    listener,
  );
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { "content-type": type, "cache-control": "no-store" });
  response.end(response.req.method === "HEAD" ? "" : body);
}
