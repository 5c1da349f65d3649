/**
 * The network of a simulated mesh. What is sent over one stream arrives in
 * order; what is sent over different ones overtakes each other. A direction
 * between two machines can be blocked: what is on its way then waits, as TCP
 * sends it again, and the stream breaks when its keep-alive has waited too
 * long, at each end by itself, so that streams are half open in between. A
 * process that is killed closes its streams; a machine that loses power does
 * not. Messages are encoded and decoded by the production code, so that no two
 * processes share an object.
 */
import type { DuplexStream, MethodShape } from "../../services/common/rpc/contract.ts";
import type { SeededRandom } from "./random.ts";
import { type Place, StreamEnd, type Ways } from "./stream.ts";
import type { Timeline } from "./timeline.ts";

/** How long messages take. Milliseconds. */
export type Weather = {
  /** Most messages take up to this. */
  latencyMs: number;
  /** Part of messages that take longer, and how long at most. */
  slowShare: number;
  slowMs: number;
};

/** After so long without an answer an end takes its stream for broken: gRPC's keep-alive and its time-out. */
const KEEP_ALIVE_MS = 6_000;

/** Network carries everything between machines. */
export class Network implements Ways {
  readonly longestKeepAliveMs = KEEP_ALIVE_MS;
  readonly weather: Weather = { latencyMs: 1, slowShare: 0, slowMs: 0 };
  readonly #timeline: Timeline;
  readonly #random: SeededRandom;
  readonly #blocked = new Set<string>();
  readonly #onHealed = new Set<() => void>();
  readonly #streams = new Set<StreamEnd<unknown, unknown>>();

  constructor(timeline: Timeline, random: SeededRandom) {
    this.#timeline = timeline;
    this.#random = random;
  }

  /** True while nothing gets from one machine to the other. */
  isBlocked(from: string, to: string): boolean {
    return this.#blocked.has(`${from}>${to}`);
  }

  /** Blocks one direction. */
  block(from: string, to: string): void {
    this.#blocked.add(`${from}>${to}`);
    for (const end of this.#streams) end.checkAlive();
  }

  /** Opens one direction again: what waited goes on. */
  open(from: string, to: string): void {
    this.#blocked.delete(`${from}>${to}`);
    for (const go of [...this.#onHealed]) go();
  }

  /** How long one message takes. */
  latencyMs(): number {
    const { latencyMs, slowShare, slowMs } = this.weather;
    if (slowShare > 0 && this.#random.chance(slowShare)) return this.#random.between(latencyMs, slowMs);
    return this.#random.between(latencyMs / 4, latencyMs);
  }

  /** How long an end waits before it takes a stream for broken. */
  keepAliveMs(): number {
    return this.#random.between(KEEP_ALIVE_MS / 2, KEEP_ALIVE_MS);
  }

  /** True time. */
  get nowMs(): number {
    return this.#timeline.nowMs;
  }

  /** Something that happens at a server outside all processes, after a message's time. */
  later(run: () => void): void {
    this.#timeline.after(this.latencyMs(), run);
  }

  /** A part of something, 0 to 1, drawn at random. */
  share(): number {
    return this.#random.unit();
  }

  /** Calls back whenever a way is open again; returns what ends that. */
  onHealed(callback: () => void): () => void {
    this.#onHealed.add(callback);
    return () => this.#onHealed.delete(callback);
  }

  /** A stream between two processes. */
  stream<Up, Down>(method: MethodShape, client: Place, server: Place): StreamPair<Up, Down> {
    const codec = method as unknown as Codec<Up, Down>;
    const near = new StreamEnd<Down, Up>(this, "client", [client, server], codec.requestSerialize);
    const far = new StreamEnd<Up, Down>(this, "server", [server, client], codec.responseSerialize);
    near.join(far, codec.responseDeserialize);
    far.join(near, codec.requestDeserialize);
    for (const end of [near, far] as StreamEnd<unknown, unknown>[]) {
      this.#streams.add(end);
      end.onGone(() => this.#streams.delete(end));
      end.checkAlive();
    }
    return { client: near, server: far };
  }

  /** Calls back at a stream's server when the call has reached it: before all that its client sends. */
  opened(server: DuplexStream<unknown, unknown> | object, callback: () => void): void {
    (server as StreamEnd<unknown, unknown>).awaitOpening(callback);
  }

  /** Breaks every stream of a machine, as when a proxy restarts. */
  reset(machine: string): void {
    for (const end of [...this.#streams]) if (end.machine === machine) end.reset();
  }
}

/** Both ends of a stream. */
export type StreamPair<Up, Down> = {
  readonly client: DuplexStream<Down, Up>;
  readonly server: DuplexStream<Up, Down>;
};

type Codec<Up, Down> = {
  readonly requestSerialize: (value: Up) => Buffer;
  readonly requestDeserialize: (bytes: Buffer) => Up;
  readonly responseSerialize: (value: Down) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Down;
};
