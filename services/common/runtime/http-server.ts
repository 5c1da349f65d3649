import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { checkListener, formatHostPort, listenError, parseHostPort } from "../config/listen-address.ts";
import { JobmeshError } from "../error/jobmesh-error.ts";
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
  /** Allows a listener beyond loopback; default false. */
  readonly insecure?: boolean;
}

/** Scrapers and probes are few; this bounds what a flood can hold. */
const MAX_CONNECTIONS = 64;

/** Longest a request may take to arrive. */
const REQUEST_TIMEOUT_MS = 5_000;

/** /metrics, /healthz (the process lives) and /readyz (it takes work), for scrapers and probes. */
export class HttpServer {
  readonly #deps: HttpServerDeps;
  readonly #config: HttpServerConfig;
  readonly #server: Server;
  #starting: Promise<{ address: string }> | null = null;

  constructor(deps: HttpServerDeps, config: HttpServerConfig) {
    this.#deps = deps;
    this.#config = config;
    this.#server = createServer(
      { requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS, keepAliveTimeout: REQUEST_TIMEOUT_MS },
      (request, response) => void this.#answer(request, response),
    );
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
    const open = checkListener(listen, insecure);
    const { host, port } = parseHostPort(listen) ?? { host: "127.0.0.1", port: 0 };
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", (cause) => reject(listenError(listen, cause)));
      this.#server.listen({ host, port, exclusive: true }, resolve);
    });
    const bound = this.#server.address();
    const address = formatHostPort({ host, port: typeof bound === "object" && bound !== null ? bound.port : port });
    if (open) this.#deps.log.warn({ address }, "metrics are served beyond loopback without TLS");
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
        return await this.#sendMetrics(response);
      default:
        return send(response, 404, "text/plain", "there are /metrics, /healthz and /readyz\n");
    }
  }

  #sendReadiness(response: ServerResponse): void {
    const checks = this.#deps.readiness();
    const ready = Object.values(checks).every((isGood) => isGood);
    send(response, ready ? 200 : 503, "application/json", `${JSON.stringify({ ready, checks })}\n`);
  }

  async #sendMetrics(response: ServerResponse): Promise<void> {
    try {
      send(response, 200, "text/plain; version=0.0.4; charset=utf-8", await this.#deps.renderMetrics());
    } catch (thrown) {
      this.#deps.log.error({ err: thrown }, "metrics could not be rendered");
      send(response, 500, "text/plain", `${JobmeshError.from(thrown).message}\n`);
    }
  }
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { "content-type": type, "cache-control": "no-store" });
  response.end(response.req.method === "HEAD" ? "" : body);
}
