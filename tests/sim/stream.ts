/** One end of a stream between two simulated processes. */
import { JobmeshError } from "../../services/common/error/jobmesh-error.ts";
import type { DuplexStream } from "../../services/common/rpc/contract.ts";
import type { SimProcess } from "./process.ts";

/** Where an end is. */
export type Place = { readonly process: SimProcess; readonly machine: string };

/** What an end asks of the network. */
export type Ways = {
  isBlocked(from: string, to: string): boolean;
  /** Calls back whenever a way is open again; returns what ends that. */
  onHealed(callback: () => void): () => void;
  latencyMs(): number;
  /** How long an end waits before it takes a stream for broken. */
  keepAliveMs(): number;
  readonly longestKeepAliveMs: number;
  readonly nowMs: number;
};

/** What is on its way to the other end. */
type Parcel =
  | { readonly opened: () => void }
  | { readonly bytes: Buffer }
  | { readonly end: "orderly" }
  | { readonly error: JobmeshError };

const broken = (why: string): JobmeshError => new JobmeshError("PEER_UNAVAILABLE", { message: why });

/**
 * StreamEnd is one end of a stream. What its machine can no longer send waits; what the keep-alive finds dead closes, at
 * each end in its own time.
 */
export class StreamEnd<In, Out> implements DuplexStream<In, Out> {
  readonly buffered = 0;
  readonly machine: string;
  readonly #network: Ways;
  readonly #role: "client" | "server";
  readonly #place: Place;
  readonly #otherPlace: Place;
  readonly #encode: (message: Out) => Buffer;
  #other!: StreamEnd<Out, In>;
  #decode!: (bytes: Buffer) => In;
  #onMessage: ((message: In) => void) | null = null;
  #onEnd: () => void = () => {};
  readonly #closers: ((error: JobmeshError | null) => void)[] = [];
  readonly #gone: (() => void)[] = [];
  /** What has arrived before somebody reads, or while reading stands still. */
  #arrived: Parcel[] = [];
  #isStill = false;
  #closed: { readonly error: JobmeshError | null } | null = null;
  #hasEnded = false;
  /** What waits for an open way; and when the latest parcel arrives. */
  #waiting: Parcel[] = [];
  #lastArrivalMs = 0;
  #forgetHealing: (() => void) | null = null;
  #isDoubted = false;

  constructor(
    network: Ways,
    role: "client" | "server",
    [place, otherPlace]: readonly [Place, Place],
    encode: (message: Out) => Buffer,
  ) {
    this.#network = network;
    this.#role = role;
    this.#place = place;
    this.#otherPlace = otherPlace;
    this.#encode = encode;
    this.machine = place.machine;
  }

  join(other: StreamEnd<Out, In>, decode: (bytes: Buffer) => In): void {
    this.#other = other;
    this.#decode = decode;
    // The kernel closes what its process had open; without power nobody does.
    this.#place.process.onDeath(() => {
      if (this.#closed !== null) return;
      this.#closed = { error: broken("dead") };
      this.#over();
      if (this.#place.process.diedSilently) this.#other.checkAlive();
      else this.#send({ error: broken("the connection was closed by the other side") });
    });
  }

  get closed(): boolean {
    return this.#closed !== null || this.#hasEnded;
  }

  send(message: Out): boolean {
    if (!this.closed) this.#send({ bytes: this.#encode(message) });
    return true;
  }

  async ready(): Promise<void> {}

  onDrain(): void {}

  onMessage(callback: (message: In) => void): void {
    this.#onMessage = callback;
    this.#read();
  }

  onEnd(callback: () => void): void {
    this.#onEnd = callback;
  }

  onClosed(callback: (error: JobmeshError | null) => void): void {
    if (this.#closed !== null) callback(this.#closed.error);
    else this.#closers.push(callback);
  }

  /** Calls back when the stream is over here, for the network's own books. */
  onGone(callback: () => void): void {
    this.#gone.push(callback);
  }

  pause(): void {
    this.#isStill = true;
  }

  resume(): void {
    this.#isStill = false;
    this.#read();
  }

  /** The client says no more; the server's end is the status, which ends the stream. */
  end(): void {
    if (this.closed) return;
    this.#hasEnded = true;
    this.#send({ end: "orderly" });
    if (this.#role === "server") this.#close(null);
  }

  fail(error: unknown): void {
    if (this.#closed !== null) return;
    const told = JobmeshError.from(error);
    this.#send({ error: told });
    this.#close(told);
  }

  awaitOpening(callback: () => void): void {
    this.#other.#send({ opened: callback });
  }

  /** The connection breaks: each end hears of it in its time. */
  reset(): void {
    for (const end of [this, this.#other] as StreamEnd<unknown, unknown>[]) {
      end.#place.process.deliver(this.#network.latencyMs(), () => end.#close(broken("the connection was reset")));
    }
  }

  /** Where nothing gets through, this end finds out by its keep-alive. */
  checkAlive(): void {
    if (this.#isDoubted || this.#closed !== null || !this.#isCut()) return;
    this.#isDoubted = true;
    this.#place.process.deliver(this.#network.keepAliveMs(), () => {
      this.#isDoubted = false;
      if (this.#isCut()) this.#giveUp();
    });
  }

  /** Nobody answers the other end's keep-alive any more, whatever becomes of the way and of this process. */
  #giveUp(): void {
    const why = broken("the keep-alive was not answered");
    const other = this.#other;
    this.#close(why);
    this.#otherPlace.process.deliver(this.#network.longestKeepAliveMs, () => other.#close(why));
  }

  #isCut(): boolean {
    const [here, there] = [this.#place.machine, this.#otherPlace.machine];
    const isPeerGone = !this.#otherPlace.process.isAlive && this.#otherPlace.process.diedSilently;
    return isPeerGone || this.#network.isBlocked(here, there) || this.#network.isBlocked(there, here);
  }

  #send(parcel: Parcel): void {
    this.#waiting.push(parcel);
    if (this.#forgetHealing === null) this.#flush();
  }

  #flush(): void {
    const [here, there] = [this.#place.machine, this.#otherPlace.machine];
    if (this.#network.isBlocked(here, there)) {
      this.#forgetHealing ??= this.#network.onHealed(() => {
        if (this.#network.isBlocked(here, there)) return;
        this.#forgetHealing?.();
        this.#forgetHealing = null;
        this.#flush();
      });
      return;
    }
    for (const parcel of this.#waiting.splice(0)) {
      const nowMs = this.#network.nowMs;
      this.#lastArrivalMs = Math.max(nowMs + this.#network.latencyMs(), this.#lastArrivalMs);
      const other = this.#other;
      this.#otherPlace.process.deliver(this.#lastArrivalMs - nowMs, () => other.#arrive(parcel));
    }
  }

  #arrive(parcel: Parcel): void {
    if (this.#closed !== null) {
      // Nobody is here any more, which the sender learns.
      if (!("error" in parcel)) this.#send({ error: broken("the connection is not known here") });
      return;
    }
    this.#arrived.push(parcel);
    this.#read();
  }

  #read(): void {
    while (!this.#isStill && this.#closed === null) {
      const parcel = this.#arrived[0];
      if (parcel === undefined) return;
      if ("bytes" in parcel && this.#onMessage === null) return;
      this.#arrived.shift();
      if ("opened" in parcel) {
        parcel.opened();
        continue;
      }
      if ("error" in parcel) return this.#close(parcel.error);
      if ("end" in parcel) {
        this.#onEnd();
        if (this.#role === "client") this.#close(null);
        continue;
      }
      try {
        this.#onMessage?.(this.#decode(parcel.bytes));
      } catch (thrown) {
        return this.fail(thrown);
      }
    }
  }

  #close(error: JobmeshError | null): void {
    if (this.#closed !== null) return;
    this.#closed = { error };
    this.#over();
    for (const callback of this.#closers.splice(0)) callback(error);
  }

  #over(): void {
    this.#arrived = [];
    for (const callback of this.#gone.splice(0)) callback();
  }
}
