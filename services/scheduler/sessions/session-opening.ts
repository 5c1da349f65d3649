import type { HelloMessage, SessionUp } from "../../common/domain/session.ts";
import { JobmeshError } from "../../common/error/jobmesh-error.ts";
import type { Clock } from "../../common/port/clock.ts";
import type { Session } from "./session.ts";
import type { SessionPeer } from "./session-peer.ts";
import { sessionError } from "./until-stored.ts";

/** Messages that may come between Hello and its answer. */
const MAX_HELD_MESSAGES = 10_000;

/**
 * The first moments of a stream: nothing before Hello, Hello in time, and what
 * comes behind it waits until the store has judged it.
 */
export class SessionOpening {
  readonly #peer: SessionPeer;
  readonly #greet: (hello: HelloMessage, opening: SessionOpening) => Promise<void>;
  #held: SessionUp[] | null = null;
  #session: Session | null = null;
  #closed = false;

  /**
   * @param greet judges Hello and calls `opened`, or throws what ends the stream.
   * @param onClosed called once, when the stream is over.
   */
  constructor(
    peer: SessionPeer,
    clock: Clock,
    helloTimeoutMs: number,
    greet: (hello: HelloMessage, opening: SessionOpening) => Promise<void>,
    onClosed: () => void,
  ) {
    this.#peer = peer;
    this.#greet = greet;
    const timer = clock.setTimer(helloTimeoutMs, () => {
      if (this.#held === null) this.#fail(new JobmeshError("DEADLINE", { message: "no Hello came in time" }));
    });
    peer.onClosed(() => {
      this.#closed = true;
      timer.cancel();
      this.#session?.closed();
      onClosed();
    });
    peer.onEnd(() => (this.#session === null ? peer.close(null) : this.#session.executorEnded()));
    peer.onMessage((message) => this.#receive(message));
  }

  /** True when the stream is over. */
  get closed(): boolean {
    return this.#closed;
  }

  /** The session stands: what came behind Hello is handed to it. */
  opened(session: Session): void {
    this.#session = session;
    if (this.#closed) return session.closed();
    for (const message of this.#held ?? []) session.receive(message);
    this.#held = [];
  }

  #receive(message: SessionUp): void {
    if (this.#session !== null) return this.#session.receive(message);
    if (this.#held !== null) return this.#hold(this.#held, message);
    if (message.kind !== "hello") throw new JobmeshError("PROTOCOL_VIOLATION", { message: "Hello comes first" });
    this.#held = [];
    this.#greet(message, this).catch((thrown: unknown) => this.#fail(thrown));
  }

  #hold(held: SessionUp[], message: SessionUp): void {
    if (held.length >= MAX_HELD_MESSAGES) throw new JobmeshError("OVERLOADED");
    held.push(message);
  }

  #fail(thrown: unknown): void {
    if (!this.#closed) this.#peer.close(sessionError(thrown));
  }
}
