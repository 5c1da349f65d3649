import type { SessionDown, SessionUp } from "../../common/domain/session.ts";
import type { JobmeshError } from "../../common/error/jobmesh-error.ts";
import type { SessionPeer } from "./session-peer.ts";
import { sessionError } from "./until-stored.ts";

/** The executor's end of a session in the same process; it has the shape of an executor's link to its home. */
export interface InProcessLink {
  /** Sends in order. Always true: the home takes what comes. */
  send(messages: readonly SessionUp[]): boolean;
  onDrain(callback: () => void): void;
  /** Messages that were sent in one turn come as one list. */
  onMessages(callback: (messages: readonly SessionDown[]) => void): void;
  /** Exactly once, when the session is over: null after an orderly end, else why. */
  onClosed(callback: (error: JobmeshError | null) => void): void;
  /** Says no more after what was sent; the home ends the session. */
  end(): void;
  /** Ends it at once. */
  drop(): void;
}

/** One direction: what is sent in one turn arrives together, soon after and never inside the sender's call. */
class Pipe<Message> {
  #receiver: ((messages: readonly Message[]) => void) | null = null;
  #waiting: Message[] = [];
  #scheduled = false;
  #over = false;
  #atEnd: (() => void) | null = null;

  send(messages: readonly Message[]): void {
    if (this.#over || this.#atEnd !== null) return;
    for (const message of messages) this.#waiting.push(message);
    this.#schedule();
  }

  receive(receiver: (messages: readonly Message[]) => void): void {
    this.#receiver = receiver;
    this.#schedule();
  }

  /** Calls back when all that was sent before has arrived. */
  end(callback: () => void): void {
    this.#atEnd ??= callback;
    this.#schedule();
  }

  /** What has not arrived never will. */
  cut(): void {
    this.#over = true;
    this.#waiting = [];
  }

  #schedule(): void {
    if (this.#scheduled || this.#over) return;
    if (this.#receiver === null && this.#atEnd === null) return;
    this.#scheduled = true;
    queueMicrotask(() => this.#deliver());
  }

  #deliver(): void {
    this.#scheduled = false;
    const messages = this.#waiting;
    if (this.#receiver !== null && messages.length > 0) {
      this.#waiting = [];
      this.#receiver(messages);
    }
    if (this.#waiting.length > 0) this.#schedule();
    else if (!this.#over) this.#atEnd?.();
  }
}

/** Both ends of a session inside one process: `peer` for SessionService.connect, `link` for the executor. */
export function inProcessSession(): { readonly peer: SessionPeer; readonly link: InProcessLink } {
  const up = new Pipe<SessionUp>();
  const down = new Pipe<SessionDown>();
  const closers: ((error: JobmeshError | null) => void)[] = [];
  let onEnd: () => void = () => close(null);
  let closed: { readonly error: JobmeshError | null } | null = null;
  const close = (error: JobmeshError | null): void => {
    if (closed !== null) return;
    closed = { error };
    up.cut();
    down.cut();
    for (const callback of closers.splice(0)) callback(error);
  };
  const onClosed = (callback: (error: JobmeshError | null) => void): void => {
    if (closed !== null) callback(closed.error);
    else closers.push(callback);
  };
  const peer: SessionPeer = {
    send: (message) => down.send([message]),
    onMessage: (callback) =>
      up.receive((messages) => {
        for (const message of messages) {
          if (closed !== null) return;
          try {
            callback(message);
          } catch (thrown) {
            return peer.close(sessionError(thrown));
          }
        }
      }),
    onEnd: (callback) => {
      onEnd = callback;
    },
    onClosed,
    // What was said before the end still arrives.
    close: (error) => down.end(() => close(error)),
  };
  const link: InProcessLink = {
    send: (messages) => {
      up.send(messages);
      return true;
    },
    onDrain: () => {},
    onMessages: (callback) => down.receive(callback),
    onClosed,
    end: () => up.end(() => onEnd()),
    drop: () => close(null),
  };
  return { peer, link };
}
