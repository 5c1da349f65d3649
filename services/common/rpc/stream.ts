import type { Writable } from "node:stream";
import { JobmeshError } from "../error/jobmesh-error.ts";
import type { DuplexStream, SendStream, StreamLimits } from "./contract.ts";

/** The reading half of a stream of grpc-js. */
export interface MessageSource {
  on(event: "data", listener: (message: unknown) => void): unknown;
  on(event: "end", listener: () => void): unknown;
  pause(): unknown;
  resume(): unknown;
}

/** What a stream needs of its side of the call. */
export interface StreamSide {
  /** Ends this side after what is buffered. */
  end(): void;
  /** Ends the call with this error, after what is buffered or, with drop, instead of it. */
  abort(error: JobmeshError, drop: boolean): void;
}

/** A message that could not be read; it takes the message's place, so that the stream fails in order. */
export class Unreadable {
  readonly error: JobmeshError;

  constructor(error: JobmeshError) {
    this.error = error;
  }
}

/** Bytes of large messages that wait; their sender holds back at more. */
const SOFT_BUFFERED_BYTES = 4 * 1024 * 1024;

/** SendStream over a Writable of grpc-js, which hands over one message at a time and buffers the rest. */
export class GrpcSendStream<Out> implements SendStream<Out> {
  readonly #side: StreamSide;
  readonly #writable: Writable;
  readonly #softLimit: number;
  readonly #hardLimit: number;
  readonly #drainCallbacks: (() => void)[] = [];
  #readyWaiters: (() => void)[] = [];
  readonly #closedCallbacks: ((error: JobmeshError | null) => void)[] = [];
  #full = false;
  /** Bytes of the messages that were given with their size, and wait. */
  #bytes = 0;
  #ended = false;
  #closed = false;
  #closeError: JobmeshError | null = null;

  constructor(writable: Writable, side: StreamSide, limits: StreamLimits) {
    this.#writable = writable;
    this.#side = side;
    // Below its own mark (16) the Writable never says that it drained.
    this.#softLimit = Math.max(limits.softBufferedMessages, writable.writableHighWaterMark);
    this.#hardLimit = Math.max(limits.maxBufferedMessages, this.#softLimit);
    writable.on("drain", () => this.#drained());
  }

  get buffered(): number {
    return this.#writable.writableLength;
  }

  get closed(): boolean {
    return this.#closed || this.#ended;
  }

  send(message: Out, bytes = 0): boolean {
    if (this.closed) return false;
    if (bytes === 0) this.#writable.write(message);
    else this.#writeLarge(message, bytes);
    const waiting = this.#writable.writableLength;
    if (waiting < this.#softLimit && this.#bytes <= SOFT_BUFFERED_BYTES) return true;
    this.#full = true;
    if (waiting > this.#hardLimit) this.#fail(new JobmeshError("SLOW_READER"), true);
    return false;
  }

  #writeLarge(message: Out, bytes: number): void {
    this.#bytes += bytes;
    this.#writable.write(message, () => {
      this.#bytes -= bytes;
      // A few large messages are below the mark at which the Writable says that it drained.
      if (this.#bytes === 0 && this.#writable.writableLength < this.#softLimit) this.#drained();
    });
  }

  ready(): Promise<void> {
    if (!this.#full || this.closed) return Promise.resolve();
    return new Promise((resolve) => this.#readyWaiters.push(resolve));
  }

  onDrain(callback: () => void): void {
    this.#drainCallbacks.push(callback);
  }

  onClosed(callback: (error: JobmeshError | null) => void): void {
    if (this.#closed) callback(this.#closeError);
    else this.#closedCallbacks.push(callback);
  }

  end(): void {
    if (this.closed) return;
    this.#ended = true;
    this.#releaseWaiters();
    this.#side.end();
  }

  fail(thrown: unknown): void {
    this.#fail(JobmeshError.from(thrown), false);
  }

  /** Told by the side when the call is over; only the first time counts. */
  close(error: JobmeshError | null): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#closeError = error;
    this.#releaseWaiters();
    for (const callback of this.#closedCallbacks.splice(0)) callback(error);
  }

  #fail(error: JobmeshError, drop: boolean): void {
    if (this.#closed) return;
    this.#ended = true;
    this.#side.abort(error, drop);
    this.close(error);
  }

  #drained(): void {
    if (!this.#full) return;
    this.#full = false;
    this.#releaseWaiters();
    if (!this.closed) for (const callback of this.#drainCallbacks) callback();
  }

  #releaseWaiters(): void {
    const waiters = this.#readyWaiters;
    this.#readyWaiters = [];
    for (const resolve of waiters) resolve();
  }
}

/** DuplexStream over a Duplex of grpc-js, on either side of a call. */
export class GrpcDuplexStream<In, Out> extends GrpcSendStream<Out> implements DuplexStream<In, Out> {
  readonly #source: MessageSource;

  constructor(duplex: MessageSource & Writable, side: StreamSide, limits: StreamLimits) {
    super(duplex, side, limits);
    this.#source = duplex;
  }

  onMessage(callback: (message: In) => void): void {
    this.#source.on("data", (message) => {
      try {
        if (message instanceof Unreadable) this.fail(message.error);
        else callback(message as In); // The method's own deserializer made it.
      } catch (thrown) {
        this.fail(thrown);
      }
    });
  }

  onEnd(callback: () => void): void {
    this.#source.on("end", () => {
      if (!this.closed) callback();
    });
  }

  pause(): void {
    this.#source.pause();
  }

  resume(): void {
    this.#source.resume();
  }
}
