import { unreachable } from "../../common/domain/assert.ts";
import type { OutputPiece } from "../../common/domain/attempt.ts";
import type { DispatchOrder } from "../../common/domain/dispatch.ts";
import type { StopReason } from "../../common/domain/execution.ts";
import type { ExecutorProfile } from "../../common/domain/executor.ts";
import { type AttemptKey, keyText } from "../../common/domain/identifier.ts";
import type { HeartbeatMessage, HelloMessage, SessionUp } from "../../common/domain/session.ts";
import { JobmeshError } from "../../common/error/jobmesh-error.ts";
import type { Clock } from "../../common/port/clock.ts";
import type { DescriptorStore } from "../../common/port/store-descriptors.ts";
import type { Beat } from "../../common/port/store-executors.ts";
import type { Logger } from "../../common/runtime/log.ts";
import type { MeshClock } from "../mesh-clock.ts";
import type { ResultSink } from "../results/result-sink.ts";
import type { ProgressIntake } from "./attempt-progress.ts";
import { readDescriptorSets, storeDescriptorSets } from "./descriptor-intake.ts";
import { HomedExecutor, type SessionLink } from "./homed-executor.ts";
import type { IntakeQueue } from "./intake-queue.ts";
import { KnownAttempts } from "./known-attempts.ts";
import { OutputAcks } from "./output-acks.ts";
import { RelayedResults } from "./relayed-results.ts";
import { checkHeartbeat, checkOutput, checkProgress, checkResult } from "./report-check.ts";
import type { Roster } from "./roster.ts";
import type { SessionConfig } from "./session-config.ts";
import type { SessionPeer } from "./session-peer.ts";
import type { StoredOffsetsView } from "./stored-offsets.ts";
import { sessionError, untilStored } from "./until-stored.ts";

/** An attempt that its executor reported as running. */
export type StartedAttempt = { readonly key: AttemptKey; readonly startUs: number };

/** What all sessions of a scheduler share. */
export type SessionScope = {
  readonly config: SessionConfig;
  readonly clock: Clock;
  readonly meshClock: MeshClock;
  readonly log: Logger;
  readonly roster: Roster;
  readonly starts: IntakeQueue<StartedAttempt>;
  readonly outputs: IntakeQueue<OutputPiece>;
  readonly progress: ProgressIntake;
  readonly results: ResultSink;
  readonly descriptors: DescriptorStore;
  readonly offsets: StoredOffsetsView;
  /** An executor that was leaving has ended its side. */
  readonly onDeparting: (session: Session) => void;
  /** A session is over. */
  readonly onEnded: (session: Session) => void;
};

/** Stops that a session remembers to have sent. */
const MAX_REMEMBERED_STOPS = 10_000;

/** Session is the home's end of one executor's stream, from Welcome on. */
export class Session implements SessionLink {
  readonly executor: HomedExecutor;
  readonly known = new KnownAttempts();
  /** Aborts when the session is over. */
  readonly signal: AbortSignal;
  readonly #scope: SessionScope;
  readonly #peer: SessionPeer;
  readonly #abort = new AbortController();
  readonly #results: RelayedResults;
  readonly #outputAcks: OutputAcks;
  /** Keys whose stop was sent and not answered, so that what comes back for it is not taken as want of room. */
  readonly #stopped = new Set<string>();
  #lastHeardMs: number;
  #heardSinceBeat = false;
  #lastSequence = 0;
  #storedSequence = 0;
  #sentOffsets = -1;
  #load: Pick<HeartbeatMessage, "cpuLoad" | "memoryBytes"> = { cpuLoad: 0, memoryBytes: 0 };
  #leaving = false;

  constructor(peer: SessionPeer, hello: HelloMessage, scope: SessionScope) {
    this.#peer = peer;
    this.#scope = scope;
    this.signal = this.#abort.signal;
    this.#lastHeardMs = scope.clock.monotonicMs();
    this.executor = new HomedExecutor(hello.profile, hello.sessionNumber, this);
    for (const key of hello.taken) this.known.add(key);
    this.#outputAcks = new OutputAcks((key, sequence) => peer.send({ kind: "output_ack", key, sequence }));
    this.#results = new RelayedResults({
      sink: scope.results,
      clock: scope.clock,
      signal: this.signal,
      acknowledge: (sequence) => peer.send({ kind: "result_stored", sequence }),
      onStored: (result) => this.known.ended(result.key),
      onFailed: (thrown) => this.end(sessionError(thrown)),
    });
  }

  get profile(): ExecutorProfile {
    return this.executor.profile;
  }

  /** True when the executor said that it leaves. */
  get leaving(): boolean {
    return this.#leaving;
  }

  /** Results by this session that are not stored yet. */
  get resultsUnderWay(): number {
    return this.#results.underWay;
  }

  /** How long nothing was heard, milliseconds. */
  get silentMs(): number {
    return this.#scope.clock.monotonicMs() - this.#lastHeardMs;
  }

  /** Handles a message. Throws what ends the session. */
  receive(message: SessionUp): void {
    if (this.signal.aborted) return;
    this.#lastHeardMs = this.#scope.clock.monotonicMs();
    this.#heardSinceBeat = true;
    if (this.executor.suspect) this.#scope.roster.setSuspect(this.executor, false);
    switch (message.kind) {
      case "hello":
        throw new JobmeshError("PROTOCOL_VIOLATION", { message: "Hello comes first, and once" });
      case "heartbeat":
        return this.#heartbeat(message);
      case "started":
        this.known.add(message.key);
        return this.#watch(this.#scope.starts.push({ key: message.key, startUs: message.startUs }));
      case "output":
        return this.#output(message.piece);
      case "progress":
        checkProgress(message);
        return this.#scope.progress.put(message);
      case "leaving":
        return this.#leave(message.reason);
      case "result":
        return this.#result(message);
      case "descriptors":
        return this.#descriptors(message.descriptorSets);
      case "unknown":
        return;
      default:
        return unreachable(message);
    }
  }

  sendOrder(order: DispatchOrder): boolean {
    if (this.signal.aborted) return false;
    this.#peer.send({ kind: "dispatch", order });
    return true;
  }

  /** Rule 25: asks that an attempt end. */
  sendStop(key: AttemptKey, reason: StopReason, message: string): void {
    this.#remember(keyText(key));
    this.#peer.send({ kind: "stop", key, reason, graceMs: this.#scope.config.killGraceMs, message });
  }

  /** Those whose result came by the bus are never asked for: the oldest goes. */
  #remember(stopped: string): void {
    this.#stopped.delete(stopped);
    this.#stopped.add(stopped);
    if (this.#stopped.size <= MAX_REMEMBERED_STOPS) return;
    for (const oldest of this.#stopped) {
      this.#stopped.delete(oldest);
      break;
    }
  }

  /** Asks the executor to leave: what still runs after the grace is cut off. */
  drain(graceMs: number): void {
    this.#scope.roster.setDraining(this.executor, true);
    this.#peer.send({ kind: "drain", graceMs });
  }

  /** What is written of this executor in the next beat; null when nothing was heard since the last one. */
  takeBeat(): { readonly beat: Beat; readonly sequence: number } | null {
    if (!this.#heardSinceBeat) return null;
    this.#heardSinceBeat = false;
    const { profile, sessionNumber, draining } = this.executor;
    const { executorId, incarnation } = profile;
    const freeSlots = this.executor.slots.room;
    return {
      beat: { executorId, incarnation, sessionNumber, freeSlots, draining, ...this.#load },
      sequence: this.#lastSequence,
    };
  }

  /** The beat could not be written: it is heard again. */
  beatFailed(): void {
    this.#heardSinceBeat = true;
  }

  /** Rule 14: the store has heard of this heartbeat; only now may the executor count on it. */
  beatStored(sequence: number): void {
    this.#storedSequence = Math.max(this.#storedSequence, sequence);
    this.#acknowledge();
  }

  /** The executor says no more: one that was leaving has left when its attempts have ended in the store too. */
  executorEnded(): void {
    this.#scope.roster.remove(this.executor);
    if (this.#leaving) this.#scope.onDeparting(this);
    else this.end(null);
  }

  /** Ends the session: with null in order, else with why. */
  end(error: JobmeshError | null): void {
    this.#peer.close(error);
    this.closed();
  }

  /** The stream is over. */
  closed(): void {
    if (this.signal.aborted) return;
    this.#abort.abort();
    this.#scope.roster.remove(this.executor);
    this.#scope.onEnded(this);
  }

  #heartbeat(beat: HeartbeatMessage): void {
    checkHeartbeat(beat);
    if (beat.sequence <= this.#lastSequence) {
      throw new JobmeshError("PROTOCOL_VIOLATION", { message: "the sequence of a heartbeat did not rise" });
    }
    this.#lastSequence = beat.sequence;
    this.#load = { cpuLoad: beat.cpuLoad, memoryBytes: beat.memoryBytes };
    this.#scope.roster.beat(this.executor, beat.slots);
    this.#acknowledge();
  }

  /**
   * Answers at once, so that the executor measures mesh time by a short round
   * trip (rule 12); heard_sequence follows when the store has the beat.
   */
  #acknowledge(): void {
    const { offsets, meshClock } = this.#scope;
    const changed = offsets.version !== this.#sentOffsets;
    this.#sentOffsets = offsets.version;
    this.#peer.send({
      kind: "heartbeat_ack",
      sequence: this.#lastSequence,
      timeUs: meshClock.nowUs(),
      stored: changed ? offsets.all() : [],
      heardSequence: this.#storedSequence,
    });
  }

  #output(piece: OutputPiece): void {
    checkOutput(piece);
    const stored = this.#scope.outputs.push(piece).then(() => {
      if (!this.signal.aborted) this.#outputAcks.stored(piece.key, piece.sequence);
    });
    this.#watch(stored);
  }

  #result({ sequence, result }: SessionUp & { readonly kind: "result" }): void {
    if (result.executorId !== this.profile.executorId) {
      throw new JobmeshError("PROTOCOL_VIOLATION", { message: "a result of another executor" });
    }
    checkResult(sequence, result);
    const wasStopped = this.#stopped.delete(keyText(result.key));
    const { outcome } = result;
    const cameBack = outcome.kind === "returned" && outcome.reason === "NOT_STARTED";
    if (cameBack && !wasStopped) this.#scope.roster.full(this.profile.executorId);
    this.#results.take(sequence, result);
  }

  #leave(reason: string): void {
    this.#leaving = true;
    this.#scope.roster.setDraining(this.executor, true);
    this.#scope.log.info({ executorId: this.profile.executorId, reason }, "an executor is leaving");
  }

  #descriptors(bytes: readonly Uint8Array[]): void {
    const sets = readDescriptorSets(this.profile, bytes);
    const { clock, descriptors, log } = this.#scope;
    const fields = { executorId: this.profile.executorId, methods: sets.flatMap(({ methods }) => methods) };
    const storing = untilStored(clock, this.signal, () => storeDescriptorSets(descriptors, sets));
    this.#watch(storing.then(() => log.info(fields, "descriptors of handlers are stored")));
  }

  /** What was reported is stored later; where it cannot be, the session ends and the executor sends it again elsewhere. */
  #watch(work: Promise<void>): void {
    work.catch((thrown: unknown) => {
      if (!this.signal.aborted) this.end(sessionError(thrown));
    });
  }
}
