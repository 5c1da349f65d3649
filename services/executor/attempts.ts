import type { AttemptOutcome, AttemptResult, ReturnReason } from "../common/domain/attempt.ts";
import type { DispatchOrder } from "../common/domain/dispatch.ts";
import { type AttemptKey, keyText } from "../common/domain/identifier.ts";
import type { SessionUp, StopMessage } from "../common/domain/session.ts";
import type { Clock } from "../common/port/clock.ts";
import type { Logger } from "../common/runtime/log.ts";
import { attemptFacts } from "../common/telemetry/attempt-facts.ts";
import type { ActiveSpan, Tracing } from "../common/telemetry/tracing.ts";
import { BROKEN, UNSUPPORTED } from "./attempt-outcomes.ts";
import { endRunSpan, startRunSpan } from "./attempt-span.ts";
import type { ExecutorMetrics } from "./executor-metrics.ts";
import { type HeldAttempt, HeldAttempts, type Way } from "./held-attempts.ts";
import type { Identity } from "./identity.ts";
import type { KeptResults } from "./kept-results.ts";
import type { KnownKey, KnownKeys } from "./known-keys.ts";
import type { MeshTime } from "./mesh-time.ts";
import type { Runners } from "./runners.ts";
import { type AttemptVoice, RunningAttempt, type StopCause } from "./running-attempt.ts";
import type { Slots } from "./slots.ts";
import type { AttemptEnding, TargetRunner } from "./target-runner.ts";

/**
 * Rule 17: an attempt is taken once under its key. Rule 20: what does not fit
 * comes back at once, NOT_STARTED, never queued behind a running one. Rule 19:
 * a key that comes again by the session is answered by how it stands. Rule 24:
 * nothing starts after its start deadline, by mesh time. Rule 11: what came ahead
 * of its time is held until then. Rule 25: a stop is always answered; one for
 * what is held alone leaves alone what has started.
 */

/** What Attempts needs. */
export interface AttemptsDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly tracing: Tracing;
  readonly metrics: ExecutorMetrics;
  readonly identity: Identity;
  readonly mesh: MeshTime;
  readonly known: KnownKeys;
  readonly slots: Slots;
  readonly kept: KeptResults;
  readonly runners: Runners;
  readonly voice: AttemptVoice;
  /** Says something to the home; lost when there is none. */
  say(message: SessionUp): void;
  /** Hears of each attempt that begins to run. */
  onBegan(attempt: RunningAttempt): void;
  /** Rule 16: true when this incarnation is over, which ends all that it held as well. */
  isFenced(): boolean;
}

/** Attempts takes orders, runs them and hands on how they ended. */
export class Attempts {
  readonly #deps: AttemptsDeps;
  readonly #running = new Set<RunningAttempt>();
  readonly #held: HeldAttempts;

  constructor(deps: AttemptsDeps) {
    this.#deps = deps;
    this.#held = new HeldAttempts({ clock: deps.clock, mesh: deps.mesh, onDue: (held) => this.#due(held) });
  }

  /** Those that run. */
  get running(): ReadonlySet<RunningAttempt> {
    return this.#running;
  }

  /** Those that run and those that are held: what has no result yet. */
  get unended(): number {
    return this.#running.size + this.#held.size;
  }

  /** Keys of those, for Hello.taken. */
  unendedKeys(): AttemptKey[] {
    return [...[...this.#running].map(({ order }) => order.key), ...this.#held.keys()];
  }

  /** Takes an order from the lane or the session. Orders for others are passed over. */
  take(order: DispatchOrder, way: Way): void {
    const { identity, known, kept, runners } = this.#deps;
    if (order.incarnation !== identity.incarnation || order.executorId !== identity.executorId) return;
    const text = keyText(order.key);
    const before = known.get(text);
    // Not remembered either: the home sends it again, when there may be room for an answer.
    if (before === undefined && kept.overfull) return;
    const own = before ?? known.add(order.key, text, order.dispatchUs);
    const capability = runners.capabilityOf(order.target);
    this.#count(own, order.sessionNumber, capability);
    const { metrics } = this.#deps;
    metrics.received[way].add(1);
    if (before === undefined) return this.#begin(own, order, capability, way);
    metrics.duplicates.add(1);
    if (way === "session") this.#answer(own);
  }

  /** Stops an attempt, or makes sure that it never starts. */
  stop(stop: StopMessage): void {
    const { known, mesh, identity, clock, kept } = this.#deps;
    const text = keyText(stop.key);
    const own = known.get(text);
    if (own === undefined) {
      if (kept.overfull) return;
      const added = known.add(stop.key, text, mesh.nowUs());
      this.#count(added, identity.sessionNumber, -1);
      this.#giveBack(added, "NOT_STARTED", "stopped before it came", "");
    } else if (this.#held.has(own)) {
      this.#handBack(own, "stopped before its time");
    } else if (own.running !== null && stop.reason !== "PAUSED" && stop.reason !== "SUPERSEDED") {
      const cause: StopCause = { kind: "stop", reason: stop.reason, message: stop.message };
      own.running.stop(cause, clock.monotonicMs() + stop.graceMs);
    } else {
      this.#answer(own);
    }
  }

  /** Tells all that run to end. */
  stopAll(cause: StopCause, graceMs: number): void {
    const { clock, known, slots } = this.#deps;
    const graceEndMs = clock.monotonicMs() + graceMs;
    for (const attempt of [...this.#running]) attempt.stop(cause, graceEndMs);
    for (const held of this.#held.releaseAll()) {
      if (cause.kind !== "fenced") {
        this.#giveBack(held.known, "NOT_STARTED", "the executor stops", held.order.traceparent, held.capability);
        continue;
      }
      slots.release(held.capability);
      known.stored(held.known, clock.monotonicMs());
    }
  }

  /** Rule 20: counts a key once under each session, and for its capability once that is known. */
  #count(known: KnownKey, sessionNumber: number, capability: number): void {
    const { identity, slots } = this.#deps;
    if (sessionNumber !== identity.sessionNumber) return;
    if (known.session !== sessionNumber) {
      known.session = sessionNumber;
      known.capabilityCounted = false;
      slots.received();
    }
    if (capability < 0 || known.capabilityCounted) return;
    known.capabilityCounted = true;
    slots.receivedFor(capability);
  }

  #begin(known: KnownKey, order: DispatchOrder, capability: number, way: Way): void {
    const { slots, kept } = this.#deps;
    if (order.dispatchUs <= this.#deps.known.forgottenUs) {
      return this.#giveBack(known, "NOT_STARTED", "dispatched before keys that were forgotten", order.traceparent);
    }
    const tooLate = this.#tooLate(order);
    if (tooLate !== null) return this.#giveBack(known, "NOT_STARTED", tooLate, order.traceparent);
    const runner = this.#deps.runners.at(capability);
    if (runner === undefined) return this.#keepAtOnce(known, UNSUPPORTED, order.traceparent);
    const isEarly = this.#held.waits(order);
    const unknownTime = isEarly ? this.#held.fault(order) : null;
    if (unknownTime !== null) return this.#giveBack(known, "NOT_STARTED", unknownTime, order.traceparent);
    if (kept.full(this.unended)) {
      return this.#giveBack(known, "NOT_STARTED", "too many results wait to be stored", order.traceparent);
    }
    if (!slots.hold(capability)) {
      const why = slots.closed ? "the executor takes no more work" : "no free slot";
      return this.#giveBack(known, "NOT_STARTED", why, order.traceparent);
    }
    const taken = { known, order, capability, way };
    if (isEarly) this.#held.hold(taken);
    else this.#start(taken, runner);
  }

  /** Its time has come. Much may have happened to this process since it was taken. */
  #due({ known, order, capability, way }: HeldAttempt): void {
    if (this.#deps.isFenced() || this.#held.release(known) === undefined) return;
    const runner = this.#deps.runners.at(capability);
    const tooLate = this.#tooLate(order);
    if (tooLate === null && runner !== undefined) return this.#start({ known, order, capability, way }, runner);
    this.#giveBack(known, "NOT_STARTED", tooLate ?? "it cannot be run any more", order.traceparent, capability);
  }

  /** Hands back what is held. */
  #handBack(known: KnownKey, why: string): void {
    const held = this.#held.release(known);
    if (held !== undefined) this.#giveBack(known, "NOT_STARTED", why, held.order.traceparent, held.capability);
  }

  /** Runs what has a slot. */
  #start({ known, order, capability, way }: HeldAttempt, runner: TargetRunner): void {
    const { clock } = this.#deps;
    const start = { us: clock.wallUs(), ms: clock.monotonicMs(), keepsTimeout: runner.keepsTimeout };
    const attempt = new RunningAttempt(this.#deps.voice, known, order, capability, start);
    known.running = attempt;
    this.#running.add(attempt);
    this.#deps.onBegan(attempt);
    this.#deps.metrics.started(order, this.#deps.mesh.nowUs());
    const span = startRunSpan(this.#deps.tracing, attempt, way);
    const ending = runner.run(attempt);
    if (ending instanceof Promise) {
      ending.then(
        (settled) => this.#ended(attempt, settled, span),
        (bug: unknown) => this.#broken(attempt, bug, span),
      );
    } else {
      this.#ended(attempt, ending, span);
    }
  }

  /** Rule 24: why it may not start any more; null when it may. */
  #tooLate({ startDeadlineUs }: DispatchOrder): string | null {
    const { mesh } = this.#deps;
    if (startDeadlineUs === null) return null;
    // An order by Kafka may come before the home's first word of the time; nobody knows then whether it is too late.
    if (!Number.isFinite(mesh.uncertaintyMs)) return "it has a start deadline and mesh time is not known yet";
    return mesh.nowUs() > startDeadlineUs ? "its start deadline has passed" : null;
  }

  #ended(attempt: RunningAttempt, ending: AttemptEnding, span: ActiveSpan | null): void {
    const { known, order } = attempt;
    const { slots, clock, identity } = this.#deps;
    this.#running.delete(attempt);
    if (span !== null) endRunSpan(span, ending);
    this.#deps.metrics.ran(order.target.kind, (clock.monotonicMs() - attempt.startMs) / 1000);
    if (attempt.cause?.kind === "fenced") {
      // Others run it by now, or will: nothing is said of it (rule 16).
      slots.release(attempt.capability);
      this.#deps.known.stored(known, clock.monotonicMs());
    } else {
      this.#keep(
        known,
        {
          key: order.key,
          executorId: identity.executorId,
          incarnation: order.incarnation,
          outcome: ending.outcome,
          // A start that the home has heard of is never taken back: without one, NOT_STARTED says that the key is unknown.
          startUs: ending.startUs ?? (attempt.reported ? attempt.startUs : null),
          endUs: ending.endUs,
          exitCode: ending.exitCode,
          output: ending.output,
          errorOutput: ending.errorOutput,
          outputPieceCount: attempt.pieceCount,
          traceparent: attempt.traceparent,
          ...(order.tracestate === "" ? {} : { tracestate: order.tracestate }),
        },
        attempt.capability,
      );
    }
  }

  /** A runner that throws is a fault of ours; the attempt ends all the same. */
  #broken(attempt: RunningAttempt, bug: unknown, span: ActiveSpan | null): void {
    this.#deps.log.error({ err: bug, ...attemptFacts(attempt.order) }, "an attempt ended without an outcome");
    const endUs = this.#deps.clock.wallUs();
    const ending = { outcome: BROKEN, startUs: attempt.startUs, endUs, exitCode: null, output: "", errorOutput: "" };
    this.#ended(attempt, ending, span);
  }

  /** Rule 19: how a known key stands. */
  #answer(known: KnownKey): void {
    if (known.running !== null) {
      known.running.reported = true;
      this.#deps.say({ kind: "started", key: known.key, startUs: known.running.startUs });
    } else if (known.kept !== null) {
      this.#deps.kept.resend(known.kept);
    } else if (!this.#deps.kept.overfull && !this.#held.has(known)) {
      this.#giveBack(known, "UNKNOWN", "its result was stored once and is no longer kept", "");
    }
  }

  #giveBack(known: KnownKey, reason: ReturnReason, message: string, traceparent: string, capability = -1): void {
    this.#keepAtOnce(known, { kind: "returned", reason, message }, traceparent, capability);
  }

  /** The result of an attempt that never started. @param capability whose slot it held; -1 when it held none */
  #keepAtOnce(known: KnownKey, outcome: AttemptOutcome, traceparent: string, capability = -1): void {
    const { identity, clock } = this.#deps;
    const result: AttemptResult = {
      key: known.key,
      executorId: identity.executorId,
      incarnation: identity.incarnation,
      outcome,
      startUs: null,
      endUs: clock.wallUs(),
      exitCode: null,
      output: "",
      errorOutput: "failure" in outcome ? outcome.failure.message : "",
      outputPieceCount: 0,
      traceparent,
    };
    this.#keep(known, result, capability);
  }

  #keep(known: KnownKey, result: AttemptResult, capability: number): void {
    this.#deps.metrics.kept(result.outcome);
    this.#deps.kept.keep(known, result, capability);
  }
}
