/** What tests of the etcd adapter share: processes of one mesh on real etcd, the real etcdctl, a log to count in. */
import { execFile } from "node:child_process";
import { connect, createServer, type Socket } from "node:net";
import { promisify } from "node:util";
import { ensureEtcdctl } from "../../scripts/tools.ts";
import { openEtcdRegistry } from "../../services/common/adapter/etcd/open-registry.ts";
import type { Logger } from "../../services/common/runtime/log.ts";
import { SystemClock } from "../../services/common/runtime/system-clock.ts";
import { SystemRandom } from "../../services/common/runtime/system-random.ts";
import { testCluster } from "./backends.ts";

const clock = new SystemClock();
const random = new SystemRandom();

/** A log whose lines are kept. */
export class KeptLog implements Logger {
  readonly lines: { readonly level: string; readonly message: string; readonly fields: object }[] = [];
  readonly debug = (): void => {};
  readonly info = (fields: object, message: string): void => void this.lines.push({ level: "info", fields, message });
  readonly warn = (fields: object, message: string): void => void this.lines.push({ level: "warn", fields, message });
  readonly error = (fields: object, message: string): void => void this.lines.push({ level: "error", fields, message });
  readonly child = (): Logger => this;

  /** Lines with this message. */
  count(message: string): number {
    return this.lines.filter((line) => line.message === message).length;
  }
}

/** One process of a mesh. */
export type EtcdProcess = { readonly registry: ReturnType<typeof openEtcdRegistry>; readonly log: KeptLog };

/** Several processes of one mesh on etcd; they stop when the scope ends. */
export class EtcdMesh {
  readonly cluster = testCluster();
  readonly endpoints: readonly string[];
  readonly #processes: EtcdProcess[] = [];

  constructor(...endpoints: string[]) {
    this.endpoints = endpoints;
  }

  /** A registry that was not started yet. */
  make(): EtcdProcess {
    const log = new KeptLog();
    const registry = openEtcdRegistry({ clock, random, log }, { endpoints: this.endpoints, cluster: this.cluster });
    const made = { registry, log };
    this.#processes.push(made);
    return made;
  }

  /** A started registry. */
  async open(): Promise<EtcdProcess> {
    const made = this.make();
    await made.registry.start();
    return made;
  }

  /** The key of a member. */
  key(name: string, instance: string): string {
    return `${this.cluster}/${name}/${instance}`;
  }

  /** Runs etcdctl; returns what it printed. */
  async etcdctl(...args: string[]): Promise<string> {
    return await etcdctl(this.endpoints, ...args);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#processes.map(({ registry }) => registry.stop()));
  }
}

/** Runs the real etcdctl; returns what it printed. */
export async function etcdctl(endpoints: readonly string[], ...args: string[]): Promise<string> {
  const env = { ...process.env, ETCDCTL_API: "3" };
  const all = ["--endpoints", endpoints.join(","), ...args];
  const { stdout } = await promisify(execFile)(await ensureEtcdctl(), all, { env });
  return stdout.trim();
}

/** Waits for a state that has no event; answers after how many milliseconds it was there, and throws after the limit. */
export async function reached(what: string, withinMs: number, isReached: () => boolean): Promise<number> {
  const startMs = clock.monotonicMs();
  for (;;) {
    const tookMs = clock.monotonicMs() - startMs;
    if (isReached()) return tookMs;
    if (tookMs > withinMs) throw new Error(`not within ${withinMs} ms: ${what}`);
    await clock.sleep(10);
  }
}

/** Relay is a port that leads to a server, and may be turned to another one. */
export class Relay {
  readonly #server = createServer((socket) => this.#accept(socket));
  readonly #sockets = new Set<Socket>();
  #target: URL | null = null;
  #port = 0;

  /** Listens, and leads to the server at this URL. */
  async start(target: string): Promise<void> {
    this.#target = new URL(target);
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    const address = this.#server.address();
    this.#port = typeof address === "object" && address !== null ? address.port : 0;
  }

  /** Its URL. */
  get endpoint(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Cuts all connections, and leads to another server from now on; to none with null. */
  turn(target: string | null): void {
    this.#target = target === null ? null : new URL(target);
    for (const socket of this.#sockets) socket.destroy();
  }

  async stop(): Promise<void> {
    this.turn(null);
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(socket: Socket): void {
    if (this.#target === null) return void socket.destroy();
    const onward = connect(Number(this.#target.port), this.#target.hostname);
    for (const [one, other] of [
      [socket, onward],
      [onward, socket],
    ] as const) {
      this.#sockets.add(one);
      one
        .on("error", () => {})
        .on("close", () => {
          this.#sockets.delete(one);
          other.destroy();
        });
      one.pipe(other);
    }
  }
}
