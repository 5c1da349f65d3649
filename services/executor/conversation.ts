import type { AttemptKey } from "../common/domain/identifier.ts";
import type { HelloMessage, SessionUp, SlotCount, WelcomeMessage } from "../common/domain/session.ts";
import { JobmeshError } from "../common/error/jobmesh-error.ts";
import type { Clock } from "../common/port/clock.ts";
import type { Attempts } from "./attempts.ts";
import type { ProcessLoad } from "./beats.ts";
import type { StreamEnd } from "./homes.ts";
import type { Identity } from "./identity.ts";
import type { KeptResults } from "./kept-results.ts";
import type { MeshTime } from "./mesh-time.ts";
import type { OutputQueue } from "./output-queue.ts";
import type { SelfFence } from "./self-fence.ts";
import { Session, type SessionConfig, type SessionEvents } from "./session.ts";
import type { SessionLink } from "./session-link.ts";
import type { Slots } from "./slots.ts";
import { Turn } from "./turn.ts";

/** How long an orderly end waits for the home to end the stream too. */
const END_WAIT_MS = 1_000;

/** What a Conversation needs. */
export interface ConversationDeps {
  readonly clock: Clock;
  readonly identity: Identity;
  readonly mesh: MeshTime;
  readonly slots: Slots;
  readonly attempts: Attempts;
  readonly kept: KeptResults;
  readonly output: OutputQueue;
  /** null where the executor lives as long as its process. */
  readonly fence: SelfFence | null;
  load(): ProcessLoad;
  /** The profile as Hello says it. */
  profile(): HelloMessage["profile"];
  /** A descriptor set by its hash. */
  descriptorSet(hash: string): Uint8Array | undefined;
  /** A home took the executor, under these terms. */
  onWelcome(welcome: WelcomeMessage): void;
  /** The home asks the executor to leave. */
  onDrain(graceMs: number | null): void;
}

/** Conversation joins the parts of an executor to whatever home it has now. */
export class Conversation {
  readonly #deps: ConversationDeps;
  readonly #config: SessionConfig;
  readonly #pump = new Turn(() => this.#pumpAll());
  readonly #grown = new Turn(() => this.#session?.roomGrew());
  #session: Session | null = null;
  #leaseMs = 0;
  /** The last beat said that results fill the executor. */
  #saidFull = false;
  #answeredMs = Number.NEGATIVE_INFINITY;
  /** The last Hello named a lane. */
  #namedLane = false;
  #leaving: string | null = null;
  #onOver: () => void = () => {};

  constructor(deps: ConversationDeps, config: SessionConfig) {
    this.#deps = deps;
    this.#config = config;
  }

  /** True while a home has the executor. */
  get homed(): boolean {
    return this.#session?.welcomed === true;
  }

  /** When the last beat was sent that a home has answered: it has heard all that was said before. */
  get answeredMs(): number {
    return this.#answeredMs;
  }

  /** Lives a stream from Hello to its end. */
  live(link: SessionLink, signal: AbortSignal): Promise<StreamEnd> {
    const { promise, resolve } = Promise.withResolvers<StreamEnd>();
    const session = new Session(this.#sessionDeps(), this.#config, link, this.#events(resolve));
    this.#session = session;
    const drop = (): void => session.drop(new JobmeshError("SHUTTING_DOWN"));
    signal.addEventListener("abort", drop, { once: true });
    session.start(this.#hello());
    if (signal.aborted) drop();
    return promise.finally(() => signal.removeEventListener("abort", drop));
  }

  /** Says something; lost while there is no home. */
  say(message: SessionUp): void {
    this.#session?.say(message);
  }

  /** Room grew. */
  roomGrew(): void {
    this.#grown.ask();
  }

  /** Results or output wait to be sent. */
  somethingWaits(): void {
    this.#pump.ask();
  }

  /** Says that the executor goes, now and on each later stream. */
  leave(reason: string): void {
    this.#leaving = reason;
    this.say({ kind: "leaving", reason });
  }

  /** Ends the stream in order; resolves when the home has ended it too, or did not in time. */
  async end(): Promise<void> {
    const session = this.#session;
    if (session === null) return;
    const over = new AbortController();
    this.#onOver = () => over.abort();
    session.end();
    await this.#deps.clock.sleep(END_WAIT_MS, over.signal);
  }

  /** Drops the stream. */
  drop(error: JobmeshError): void {
    this.#session?.drop(error);
  }

  #hello(): HelloMessage {
    const { identity, slots } = this.#deps;
    const sessionNumber = identity.nextSession();
    slots.newSession();
    const profile = this.#deps.profile();
    this.#namedLane = profile.lane !== null;
    return {
      kind: "hello",
      profile,
      sessionNumber,
      taken: this.#taken(),
      previousIncarnation: identity.previous,
    };
  }

  /** Results of an earlier incarnation are kept and sent, but its attempts are not this one's. */
  #taken(): AttemptKey[] {
    const { attempts, kept, identity } = this.#deps;
    const taken: AttemptKey[] = attempts.unendedKeys();
    for (const { result } of kept) if (result.incarnation === identity.incarnation) taken.push(result.key);
    return taken;
  }

  #sessionDeps(): { clock: Clock; slots(): readonly SlotCount[]; load(): ProcessLoad } {
    const { clock, slots, load } = this.#deps;
    return {
      ...{ clock, load },
      slots: () => {
        this.#saidFull = this.#full();
        return slots.counts(!this.#saidFull);
      },
    };
  }

  #full(): boolean {
    return this.#deps.kept.full(this.#deps.attempts.unended);
  }

  /** Results were stored: there may be room for work again. */
  #forgot(): void {
    if (this.#saidFull && !this.#full()) this.roomGrew();
  }

  #events(resolve: (end: StreamEnd) => void): SessionEvents {
    const { attempts, kept, output, fence } = this.#deps;
    return {
      welcome: (welcome, helloMs) => this.#welcome(welcome, helloMs),
      acknowledged: (ack, news) => {
        if (news.sentMs !== null) this.#answered(news.sentMs, ack.timeUs);
        if (news.heardMs !== null) fence?.heard(news.heardMs, this.#leaseMs);
        kept.storedUpTo(ack.stored);
        this.#forgot();
      },
      message: (message) => {
        switch (message.kind) {
          case "dispatch":
            return attempts.take(message.order, "session");
          case "stop":
            return attempts.stop(message);
          case "result_stored":
            kept.relayStored(message.sequence);
            return this.#forgot();
          case "output_ack":
            return output.acknowledged(message.key, message.sequence);
          case "drain":
            return this.#deps.onDrain(message.graceMs);
          case "unknown":
            return;
        }
      },
      turn: () => {
        // A process that was frozen learns here that others may run its work by now.
        if (fence?.check() !== true) this.#pumpAll();
      },
      closed: (error, welcomed) => {
        this.#session = null;
        kept.sessionClosed();
        output.sessionClosed();
        this.#onOver();
        resolve({ error, welcomed });
      },
    };
  }

  #answered(sentMs: number, timeUs: number): void {
    this.#answeredMs = Math.max(this.#answeredMs, sentMs);
    this.#deps.mesh.observe(sentMs, timeUs);
  }

  #welcome(welcome: WelcomeMessage, helloMs: number): void {
    const { fence, kept, output } = this.#deps;
    this.#leaseMs = welcome.leaseTtlMs;
    // Not earlier: rescuers await what was produced only by those whose lane the store has (rule 15).
    kept.busUsable = this.#namedLane;
    fence?.heard(helloMs, welcome.leaseTtlMs);
    this.#deps.onWelcome(welcome);
    this.#describe(welcome.missingDescriptorHashes);
    if (this.#leaving !== null) this.say({ kind: "leaving", reason: this.#leaving });
    const session = this.#session;
    const stream = { send: (messages: readonly SessionUp[]) => session?.send(messages) ?? false };
    kept.sessionOpened(stream);
    output.sessionOpened(stream);
  }

  #describe(hashes: readonly string[]): void {
    for (const hash of hashes) {
      const descriptorSet = this.#deps.descriptorSet(hash);
      if (descriptorSet !== undefined) this.say({ kind: "descriptors", descriptorSets: [descriptorSet] });
    }
  }

  #pumpAll(): void {
    this.#deps.kept.pump();
    this.#deps.output.pump();
  }
}
