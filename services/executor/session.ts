import type {
  HeartbeatAckMessage,
  HelloMessage,
  SessionDown,
  SessionUp,
  SlotCount,
  WelcomeMessage,
} from "../common/domain/session.ts";
import { JobmeshError } from "../common/error/jobmesh-error.ts";
import type { Clock, Timer } from "../common/port/clock.ts";
import { type BeatNews, Beats, type ProcessLoad } from "./beats.ts";
import type { SessionLink } from "./session-link.ts";

/**
 * Session is one stream to a home, from Hello to its end: Hello, Welcome, then
 * beats up and orders down. Messages that are said in one turn are sent
 * together. A home that says nothing for long is left.
 */

/** What a Session tells its executor. Nothing is told after `closed`. */
export interface SessionEvents {
  /** @param helloMs When Hello was sent, by the monotonic clock. */
  welcome(welcome: WelcomeMessage, helloMs: number): void;
  acknowledged(ack: HeartbeatAckMessage, news: BeatNews): void;
  /** Orders and the like, in the order in which they came. */
  message(message: Exclude<SessionDown, WelcomeMessage | HeartbeatAckMessage>): void;
  /** Messages that came together are about to be told, or the stream has room again. */
  turn(): void;
  /** Exactly once. `welcomed` says whether the home had taken the executor. */
  closed(error: JobmeshError | null, welcomed: boolean): void;
}

/** What a Session needs. */
export interface SessionDeps {
  readonly clock: Clock;
  slots(): readonly SlotCount[];
  load(): ProcessLoad;
}

/** Settings of a Session. */
export type SessionConfig = {
  readonly helloTimeoutMs: number;
  readonly homeSilenceMs: number;
  readonly beatGapMs: number;
};

/** Beats that a home may leave unanswered before it counts as silent, whatever the setting says. */
const SILENT_BEATS = 3;

/** Session speaks over one link. */
export class Session {
  readonly #deps: SessionDeps;
  readonly #config: SessionConfig;
  readonly #link: SessionLink;
  readonly #events: SessionEvents;
  #outbox: SessionUp[] = [];
  #flushing = false;
  #beats: Beats | null = null;
  #helloMs = 0;
  #heardMs = 0;
  #silenceMs: number;
  #silence: Timer | null = null;
  #open = true;

  constructor(deps: SessionDeps, config: SessionConfig, link: SessionLink, events: SessionEvents) {
    this.#deps = deps;
    this.#config = config;
    this.#link = link;
    this.#events = events;
    this.#silenceMs = config.helloTimeoutMs;
  }

  /** True from Welcome to the end. */
  get welcomed(): boolean {
    return this.#open && this.#beats !== null;
  }

  /** Says Hello. */
  start(hello: HelloMessage): void {
    this.#link.onMessages((messages) => this.#receive(messages));
    this.#link.onDrain(() => {
      if (this.welcomed) this.#events.turn();
    });
    this.#link.onClosed((error) => this.#close(error));
    this.#helloMs = this.#deps.clock.monotonicMs();
    this.#heardMs = this.#helloMs;
    this.#watchSilence();
    if (this.#open) this.#link.send([hello]);
  }

  /** Says something with whatever else is said in this turn. Before Welcome it is lost. */
  say(message: SessionUp): void {
    if (!this.welcomed) return;
    this.#outbox.push(message);
    if (this.#flushing) return;
    this.#flushing = true;
    queueMicrotask(() => this.#flush());
  }

  /** Says it now, behind what was said before. False says that enough waits. */
  send(messages: readonly SessionUp[]): boolean {
    if (!this.welcomed) return false;
    this.#flush();
    return this.#link.send(messages);
  }

  /** Room grew. */
  roomGrew(): void {
    this.#beats?.roomGrew();
  }

  /** Ends the stream in order, after what was said. */
  end(): void {
    if (!this.#open) return;
    this.#flush();
    this.#beats?.stop();
    this.#link.end();
  }

  /** Drops the stream; `closed` is told. */
  drop(error: JobmeshError): void {
    if (!this.#open) return;
    // First, so that the link's own word of its end comes too late.
    this.#close(error);
    this.#link.drop();
  }

  #flush(): void {
    this.#flushing = false;
    if (this.#outbox.length === 0 || !this.#open) return;
    const messages = this.#outbox;
    this.#outbox = [];
    this.#link.send(messages);
  }

  #receive(messages: readonly SessionDown[]): void {
    if (!this.#open) return;
    this.#heardMs = this.#deps.clock.monotonicMs();
    if (this.welcomed) this.#events.turn();
    for (const message of messages) {
      if (!this.#open) return;
      if (message.kind === "welcome") this.#welcome(message);
      else if (this.#beats === null) continue;
      else if (message.kind === "heartbeat_ack") this.#events.acknowledged(message, this.#beats.acknowledged(message));
      else this.#events.message(message);
    }
  }

  #welcome(welcome: WelcomeMessage): void {
    if (this.#beats !== null) return;
    const deps = { ...this.#deps, send: (beat: SessionUp) => void this.#link.send([beat]) };
    const config = { intervalMs: welcome.heartbeatIntervalMs, gapMs: this.#config.beatGapMs };
    this.#beats = new Beats(deps, config, this.#helloMs);
    this.#silenceMs = Math.max(this.#config.homeSilenceMs, SILENT_BEATS * welcome.heartbeatIntervalMs);
    this.#events.welcome(welcome, this.#helloMs);
    this.#beats.start();
  }

  #watchSilence(): void {
    const leftMs = this.#heardMs + this.#silenceMs - this.#deps.clock.monotonicMs();
    if (leftMs <= 0) {
      const message = `the home said nothing for ${this.#silenceMs} ms`;
      return this.drop(new JobmeshError("PEER_UNAVAILABLE", { message }));
    }
    this.#silence = this.#deps.clock.setTimer(leftMs, () => this.#watchSilence());
  }

  #close(error: JobmeshError | null): void {
    if (!this.#open) return;
    const { welcomed } = this;
    this.#open = false;
    this.#silence?.cancel();
    this.#beats?.stop();
    this.#events.closed(error, welcomed);
  }
}
