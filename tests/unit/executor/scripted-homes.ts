import type { DispatchOrder } from "../../../services/common/domain/dispatch.ts";
import type { AttemptKey, SchedulerId } from "../../../services/common/domain/identifier.ts";
import type {
  HelloMessage,
  SessionDown,
  SessionUp,
  SlotCount,
  StoredOffset,
} from "../../../services/common/domain/session.ts";
import { JobmeshError } from "../../../services/common/error/jobmesh-error.ts";
import type { Clock } from "../../../services/common/port/clock.ts";
import type { SessionConnector, SessionLink } from "../../../services/executor/session-link.ts";
import { inProcessSession } from "../../../services/scheduler/sessions/in-process-session.ts";
import type { SessionPeer } from "../../../services/scheduler/sessions/session-peer.ts";

type Of<Kind extends SessionUp["kind"]> = Extract<SessionUp, { kind: Kind }>;

/** What homes do by themselves; a test switches it off to do it by hand. */
export type HomeManners = {
  /** Welcomes each Hello. */
  welcome: boolean;
  /** Acknowledges each beat as heard and stored. */
  acknowledge: boolean;
  /** Stores each relayed result and piece of output. */
  store: boolean;
  leaseTtlMs: number;
  /** How far the result topic is stored, said in each acknowledgement. */
  stored: StoredOffset[];
  missingDescriptorHashes: string[];
};

/** The home's end of one stream. */
export class ScriptedHome {
  readonly heard: SessionUp[] = [];
  closedBy: JobmeshError | null | undefined;
  readonly #peer: SessionPeer;
  readonly #clock: Clock;
  readonly #manners: HomeManners;

  readonly #onHeard: () => void;

  constructor(peer: SessionPeer, clock: Clock, manners: HomeManners, onHeard: () => void) {
    this.#onHeard = onHeard;
    this.#peer = peer;
    this.#clock = clock;
    this.#manners = manners;
    peer.onMessage((message) => this.#hear(message));
    peer.onClosed((error) => {
      this.closedBy = error;
    });
  }

  get hello(): HelloMessage {
    const [hello] = this.all("hello");
    if (hello === undefined) throw new Error("no Hello was said");
    return hello;
  }

  /** What the last beat said of the whole executor. */
  get room(): SlotCount {
    return this.counts[0] as SlotCount;
  }

  /** What the last beat said. */
  get counts(): readonly SlotCount[] {
    return this.all("heartbeat").at(-1)?.slots ?? [];
  }

  all<Kind extends SessionUp["kind"]>(kind: Kind): Of<Kind>[] {
    return this.heard.filter((message): message is Of<Kind> => message.kind === kind);
  }

  say(message: SessionDown): void {
    this.#peer.send(message);
  }

  welcome(): void {
    this.say({
      kind: "welcome",
      schedulerId: "scheduler-1" as SchedulerId,
      heartbeatIntervalMs: 1_000,
      leaseTtlMs: this.#manners.leaseTtlMs,
      reportDelayMs: 250,
      missingDescriptorHashes: this.#manners.missingDescriptorHashes,
    });
  }

  acknowledge(sequence: number, heardSequence = sequence): void {
    const { stored } = this.#manners;
    this.say({ kind: "heartbeat_ack", sequence, timeUs: this.#clock.wallUs(), stored, heardSequence });
  }

  dispatch(order: DispatchOrder): void {
    this.say({ kind: "dispatch", order });
  }

  stop(key: AttemptKey, reason: "CANCEL" | "TIMEOUT" | "REROUTE" | "PAUSED" = "CANCEL"): void {
    this.say({ kind: "stop", key, reason, graceMs: 10_000, message: "the test asked" });
  }

  /** Breaks the stream. */
  close(error: JobmeshError | null = new JobmeshError("PEER_UNAVAILABLE")): void {
    this.#peer.close(error);
  }

  #hear(message: SessionUp): void {
    this.heard.push(message);
    if (message.kind === "hello" && this.#manners.welcome) this.welcome();
    if (message.kind === "heartbeat" && this.#manners.acknowledge) this.acknowledge(message.sequence);
    this.#onHeard();
    if (!this.#manners.store) return;
    if (message.kind === "result") this.say({ kind: "result_stored", sequence: message.sequence });
    if (message.kind === "output") {
      this.say({ kind: "output_ack", key: message.piece.key, sequence: message.piece.sequence });
    }
  }
}

/** Schedulers as an executor sees them: each stream that it opens is a ScriptedHome. */
export class ScriptedHomes implements SessionConnector {
  readonly streams: ScriptedHome[] = [];
  /** When each stream was opened, or refused, by the monotonic clock. */
  readonly openedMs: number[] = [];
  /** While set, no stream comes to be. */
  away: JobmeshError | null = null;
  readonly manners: HomeManners;
  readonly #clock: Clock;
  #waiting: (() => void)[] = [];

  constructor(clock: Clock, manners: Partial<HomeManners>) {
    this.#clock = clock;
    this.manners = {
      welcome: true,
      acknowledge: true,
      store: true,
      leaseTtlMs: 5_000,
      stored: [],
      missingDescriptorHashes: [],
      ...manners,
    };
  }

  /** The stream opened last. */
  get last(): ScriptedHome {
    const home = this.streams.at(-1);
    if (home === undefined) throw new Error("no stream was opened");
    return home;
  }

  /** What was said on all streams, in order. */
  all<Kind extends SessionUp["kind"]>(kind: Kind): Of<Kind>[] {
    return this.streams.flatMap((home) => home.all(kind));
  }

  /** The message of a kind at that place among all streams', when it comes. */
  async next<Kind extends SessionUp["kind"]>(kind: Kind, place = 0): Promise<Of<Kind>> {
    for (;;) {
      const come = this.all(kind)[place];
      if (come !== undefined) return come;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  async open(): Promise<SessionLink> {
    this.openedMs.push(this.#clock.monotonicMs());
    if (this.away !== null) throw this.away;
    const { peer, link } = inProcessSession();
    this.streams.push(new ScriptedHome(peer, this.#clock, this.manners, () => this.#wake()));
    return link;
  }

  close(): void {}

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
