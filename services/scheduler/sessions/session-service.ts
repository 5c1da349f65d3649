import { unreachable } from "../../common/domain/assert.ts";
import type { OutputPiece } from "../../common/domain/attempt.ts";
import type { ExecutorProfile } from "../../common/domain/executor.ts";
import { type ExecutorId, type Incarnation, keyText } from "../../common/domain/identifier.ts";
import type { HelloMessage } from "../../common/domain/session.ts";
import { JobmeshError } from "../../common/error/jobmesh-error.ts";
import type { Clock } from "../../common/port/clock.ts";
import type { Store } from "../../common/port/store.ts";
import type { RegisterOutcome } from "../../common/port/store-executors.ts";
import type { Logger } from "../../common/runtime/log.ts";
import type { Hints } from "../hints.ts";
import type { MeshClock } from "../mesh-clock.ts";
import type { ResultSink } from "../results/result-sink.ts";
import { ProgressIntake } from "./attempt-progress.ts";
import { descriptorHashes } from "./descriptor-intake.ts";
import { checkHello } from "./hello-check.ts";
import { IntakeQueue } from "./intake-queue.ts";
import type { Roster } from "./roster.ts";
import { Session, type SessionScope, type StartedAttempt } from "./session.ts";
import type { SessionConfig } from "./session-config.ts";
import { SessionOpening } from "./session-opening.ts";
import type { SessionPeer } from "./session-peer.ts";
import type { StoredOffsetsView } from "./stored-offsets.ts";
import { untilStored } from "./until-stored.ts";

/** What the sessions need. */
export type SessionServiceDeps = {
  readonly store: Pick<Store, "executors" | "executions" | "output" | "descriptors">;
  readonly roster: Roster;
  readonly results: ResultSink;
  readonly offsets: StoredOffsetsView;
  readonly hints: Hints;
  readonly clock: Clock;
  readonly meshClock: MeshClock;
  readonly log: Logger;
};

/** Groups of reports of started attempts. */
export const STARTED_LIMITS = {
  maxItems: 500,
  maxBytes: 1024 * 1024,
  maxWaiting: 100_000,
  maxWaitingBytes: 64 * 1024 * 1024,
};
/** Groups of output: executors hold back at 256 KiB an attempt, and a thousand of them wait at most (rule 35). */
export const OUTPUT_LIMITS = {
  maxItems: 500,
  maxBytes: 4 * 1024 * 1024,
  maxWaiting: 50_000,
  maxWaitingBytes: 256 * 1024 * 1024,
};
/** Bytes of a piece besides its data, for the size of a group. */
const PIECE_BYTES = 128;
/** Keys of Hello.taken that are compared with the store in one query. */
const TAKEN_CHUNK = 500;

/**
 * The server's end of ExecutorService.Session for all executors homed here.
 * Hello is judged by the store (rules 16, 20, 23): a lost incarnation is
 * refused for ever, a second process under an executor_id while the first is
 * alive, and an older session once a newer one stands.
 */
export class SessionService {
  readonly #deps: SessionServiceDeps;
  readonly #config: SessionConfig;
  readonly #scope: SessionScope;
  readonly #sessions = new Map<ExecutorId, Session>();
  readonly #openings = new Set<SessionPeer>();
  readonly #joinListeners = new Set<(session: Session) => void>();
  #onDeparting: ((session: Session) => void) | null = null;
  readonly #tasks = new Set<Promise<void>>();
  #stopping = false;

  constructor(deps: SessionServiceDeps, config: SessionConfig) {
    this.#deps = deps;
    this.#config = config;
    const { clock, meshClock, log, roster, results, offsets, store, hints } = deps;
    this.#scope = {
      config,
      clock,
      meshClock,
      log,
      roster,
      results,
      offsets,
      descriptors: store.descriptors,
      starts: new IntakeQueue<StartedAttempt>(clock, log, {
        name: "started",
        limits: STARTED_LIMITS,
        sizeOf: () => PIECE_BYTES,
        store: (started) => store.executions.markStarted(started),
      }),
      outputs: new IntakeQueue<OutputPiece>(clock, log, {
        name: "output",
        limits: OUTPUT_LIMITS,
        sizeOf: (piece) => PIECE_BYTES + piece.data.length + piece.fieldsJson.length,
        store: (pieces) => store.output.append(pieces),
        onStored: (piece) => hints.tell({ kind: "output", piece }),
      }),
      progress: new ProgressIntake({ store: store.executions, clock, log }, config.heartbeatIntervalMs),
      onDeparting: (session) => this.#depart(session),
      onEnded: (session) => this.#ended(session),
    };
    roster.onRoomGrown(() => hints.tell({ kind: "free" }));
  }

  /** Sessions that stand, in order of their Hellos. */
  sessions(): IterableIterator<Session> {
    return this.#sessions.values();
  }

  get(executorId: ExecutorId): Session | undefined {
    return this.#sessions.get(executorId);
  }

  /** The session of an executor's life, while it goes on; undefined when that is homed elsewhere, or over. */
  current(executorId: ExecutorId, incarnation: Incarnation): Session | undefined {
    const session = this.#sessions.get(executorId);
    return session?.signal.aborted === false && session.profile.incarnation === incarnation ? session : undefined;
  }

  /** Calls back with each session that begins; returns how to stop. */
  onJoined(listener: (session: Session) => void): () => void {
    this.#joinListeners.add(listener);
    return () => void this.#joinListeners.delete(listener);
  }

  /** Hands each session whose executor was leaving and has ended its side to whoever ends it. */
  onDeparting(listener: (session: Session) => void): void {
    this.#onDeparting = listener;
  }

  /** Takes an executor's stream. It lives until either side ends it. */
  connect(peer: SessionPeer): void {
    if (this.#stopping) return peer.close(new JobmeshError("SHUTTING_DOWN"));
    this.#openings.add(peer);
    new SessionOpening(
      peer,
      this.#deps.clock,
      this.#config.helloTimeoutMs,
      (hello, opening) => this.#track(this.#greet(peer, hello, opening)),
      () => this.#openings.delete(peer),
    );
  }

  /** Rule 30: ends all sessions, so that their executors find another home. */
  endAll(error: JobmeshError): void {
    for (const peer of [...this.#openings]) peer.close(error);
  }

  /** Ends all sessions, and stores what they reported if the store answers. Idempotent. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.endAll(new JobmeshError("SHUTTING_DOWN"));
    await Promise.all([this.#scope.starts.stop(), this.#scope.outputs.stop(), this.#scope.progress.stop()]);
    while (this.#tasks.size > 0) await Promise.allSettled([...this.#tasks]);
  }

  async #greet(peer: SessionPeer, hello: HelloMessage, opening: SessionOpening): Promise<void> {
    checkHello(hello);
    const missing = await this.#register(hello);
    if (opening.closed || this.#stopping) return;
    const session = new Session(peer, hello, this.#scope);
    this.#replace(session);
    const { profile } = hello;
    peer.send({
      kind: "welcome",
      schedulerId: this.#config.schedulerId,
      heartbeatIntervalMs: this.#config.heartbeatIntervalMs,
      leaseTtlMs: profile.registered ? this.#config.leaseTtlMs : this.#config.keylessLeaseTtlMs,
      reportDelayMs: this.#config.reportDelayMs,
      missingDescriptorHashes: missing,
    });
    this.#deps.roster.join(session.executor);
    this.#logJoined(profile, hello);
    opening.opened(session);
    for (const listener of this.#joinListeners) listener(session);
    void this.#track(this.#stopStrangers(session, hello));
  }

  /** Answers the descriptors that the mesh does not have. Throws where the store refuses the Hello. */
  async #register(hello: HelloMessage): Promise<readonly string[]> {
    const { store } = this.#deps;
    const { profile, sessionNumber, previousIncarnation } = hello;
    const home = this.#config.schedulerId;
    this.#judge(await store.executors.register({ profile, sessionNumber, home, previousIncarnation }), hello);
    const hashes = descriptorHashes(profile);
    return hashes.length === 0 ? [] : await store.descriptors.missing(hashes);
  }

  #judge(outcome: RegisterOutcome, { profile }: HelloMessage): void {
    const metadata = { executor_id: profile.executorId, incarnation: profile.incarnation };
    switch (outcome.kind) {
      case "welcome":
        return;
      case "lost":
        throw new JobmeshError("EXECUTOR_LOST", { metadata });
      case "taken":
        throw new JobmeshError("EXECUTOR_ID_TAKEN", {
          metadata: { ...metadata, holder: outcome.incarnation },
          retryDelayMs: this.#config.heartbeatIntervalMs,
        });
      case "stale_session":
        throw new JobmeshError("SESSION_SUPERSEDED", { metadata });
      default:
        unreachable(outcome);
    }
  }

  /** A later session of the same executor ends the one that stood. */
  #replace(session: Session): void {
    const { executorId, incarnation } = session.profile;
    const older = this.#sessions.get(executorId);
    const sameLife = older?.profile.incarnation === incarnation;
    if (older !== undefined && sameLife && older.executor.sessionNumber > session.executor.sessionNumber) {
      throw new JobmeshError("SESSION_SUPERSEDED");
    }
    this.#sessions.delete(executorId);
    this.#sessions.set(executorId, session);
    older?.end(new JobmeshError("SESSION_SUPERSEDED"));
  }

  /** Rule 19: what the executor holds and the store does not have is stopped. */
  async #stopStrangers(session: Session, { taken }: HelloMessage): Promise<void> {
    const { clock, store, log } = this.#deps;
    for (let from = 0; from < taken.length; from += TAKEN_CHUNK) {
      const chunk = taken.slice(from, from + TAKEN_CHUNK);
      try {
        const current = await untilStored(clock, session.signal, () => store.executions.currentKeys(chunk));
        const texts = new Set(current.map(keyText));
        for (const key of chunk) {
          if (!texts.has(keyText(key))) session.sendStop(key, "CANCEL", "the attempt is not current any more");
        }
      } catch (thrown) {
        if (!session.signal.aborted) log.error({ err: thrown }, "attempts of a Hello could not be compared");
        return;
      }
    }
  }

  #depart(session: Session): void {
    if (this.#onDeparting === null) session.end(null);
    else this.#onDeparting(session);
  }

  #ended(session: Session): void {
    const { executorId } = session.profile;
    if (this.#sessions.get(executorId) === session) this.#sessions.delete(executorId);
    this.#deps.log.info({ executorId, sessionNumber: session.executor.sessionNumber }, "a session ended");
  }

  #logJoined(profile: ExecutorProfile, { sessionNumber, taken }: HelloMessage): void {
    const { executorId, incarnation, slots, lane } = profile;
    const fields = { executorId, incarnation, sessionNumber, slots, lane, taken: taken.length };
    this.#deps.log.info(fields, "an executor joined");
  }

  #track(task: Promise<void>): Promise<void> {
    const tracked = task.finally(() => this.#tasks.delete(tracked));
    this.#tasks.add(tracked);
    return tracked;
  }
}
