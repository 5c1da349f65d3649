import type { AttemptResult } from "../common/domain/attempt.ts";
import type { StoredOffset } from "../common/domain/session.ts";
import type { ExecutorBus, ResultPosition } from "../common/port/bus.ts";
import type { Clock, Timer } from "../common/port/clock.ts";
import { placeOf } from "./config.ts";
import { Fifo } from "./fifo.ts";
import { KeptResult } from "./kept-result.ts";
import type { KnownKey, KnownKeys } from "./known-keys.ts";
import { ResultPartition } from "./result-partition.ts";
import { type RelayStream, ResultRelay } from "./result-relay.ts";

/**
 * Rule 18: results are kept until the store has them, bounded; at the bound the
 * executor takes no more work. A result goes to the result topic, in a
 * partition that the executor chooses (rule 27). It goes by the session where
 * there is no bus, where the attempt comes back without an outcome, where the
 * bus does not take it within a second (rule 19), and where the partition gives
 * no sure word of what is stored.
 */

/** A result is read within this where anybody can read: others take a partition that stands still for 3 s (rule 30). */
const UNREAD_MS = 10_000;
/** Looks for overdue results in one time-out. */
const LOOKS = 4;
/** How long results go to one partition: some transactions of a scheduler. */
const PARTITION_TURN_MS = 50;

/** What KeptResults needs. */
export interface KeptResultsDeps {
  readonly clock: Clock;
  readonly known: KnownKeys;
  /** null for an executor that works by its session alone. */
  readonly bus: ExecutorBus | null;
  /** Hears that an attempt's result is in Kafka or was sent by the session: its slot is free (rule 20). */
  onSent(capability: number): void;
  /** Hears that results wait to be sent by the session. */
  onRelay(): void;
}

/** Settings of KeptResults. */
export type KeptResultsConfig = {
  readonly maxKeptBytes: number;
  readonly maxKeptResults: number;
  readonly maxKeptReturns: number;
  readonly busTimeoutMs: number;
};

/** KeptResults holds what ended here until the store has it. */
export class KeptResults {
  readonly #deps: KeptResultsDeps;
  readonly #config: KeptResultsConfig;
  readonly #all = new Set<KeptResult>();
  readonly #partitions: readonly ResultPartition[];
  readonly #relay = new ResultRelay((kept) => this.#sent(kept));
  /** Handed to the bus, in that order; those it has answered are passed over. */
  readonly #onTheirWay = new Fifo<KeptResult>();
  #bytes = 0;
  #busUsable = false;
  #timer: Timer | null = null;

  constructor(deps: KeptResultsDeps, config: KeptResultsConfig) {
    this.#deps = deps;
    this.#config = config;
    const count = deps.bus?.resultPartitions ?? 0;
    this.#partitions = Array.from({ length: count }, (_, partition) => new ResultPartition(partition));
  }

  get count(): number {
    return this.#all.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** All of them, for Hello.taken. */
  [Symbol.iterator](): IterableIterator<KeptResult> {
    return this.#all.values();
  }

  /** True at the bound, with room kept for the results of `running` attempts. */
  full(running: number): boolean {
    return this.#bytes >= this.#config.maxKeptBytes || this.#all.size + running >= this.#config.maxKeptResults;
  }

  /** True when not even an attempt that comes back can be kept. */
  get overfull(): boolean {
    return this.#all.size >= this.#config.maxKeptResults + this.#config.maxKeptReturns;
  }

  /** Whether the store has this executor's lane: only then do rescuers await what was produced (rule 15). */
  set busUsable(usable: boolean) {
    this.#busUsable = usable;
  }

  /** Keeps a result and sends it. @param capability Whose slot it holds until it was sent; -1 for none. */
  keep(known: KnownKey, result: AttemptResult, capability: number): void {
    const kept = new KeptResult(known, result, capability);
    known.running = null;
    known.kept = kept;
    this.#all.add(kept);
    this.#bytes += kept.bytes;
    if (result.outcome.kind === "returned") this.#relayed(kept);
    else this.#produce(kept);
  }

  /**
   * Rule 19: the home asks again for one that ended. It is sent again unless it stands where it will be read. One that
   * stands there for long was not read: the topic may have lost it before anybody could notice that (rule 27).
   */
  resend(kept: KeptResult): void {
    if (kept.pending && !kept.relayed) return;
    const isFresh = this.#deps.clock.monotonicMs() - kept.sentMs < UNREAD_MS;
    if (isFresh && this.#partitions[kept.partition]?.stands(kept) === true) return;
    this.#relayed(kept);
  }

  /**
   * Rule 16: their incarnation is over. Homes ask for attempts of the present one alone (rule 19), so what Kafka has lost
   * would be kept for ever: all of them go by the session, too.
   */
  relayAll(): void {
    for (const kept of this.#all) if (!kept.relayed) this.#relay.add(kept);
    this.#deps.onRelay();
  }

  /** HeartbeatAck.stored. */
  storedUpTo(stored: readonly StoredOffset[]): void {
    for (const { partition, generation, nextOffset } of stored) {
      const own = this.#partitions[partition];
      const again = own?.storedUpTo(generation, nextOffset, (kept) => this.#forget(kept)) ?? [];
      for (const kept of again) this.#produce(kept);
    }
  }

  /** ResultStored. */
  relayStored(sequence: number): void {
    this.#relay.stored(sequence, (kept) => this.#forget(kept));
  }

  /** A session stands: what goes by it is sent on it. */
  sessionOpened(stream: RelayStream): void {
    this.#relay.open(stream);
    this.#relay.pump();
  }

  /** The session is over. */
  sessionClosed(): void {
    this.#relay.close();
  }

  /** Sends by the session while it has room. */
  pump(): void {
    this.#relay.pump();
  }

  /** Nothing is waited for any more. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** What the bus has not taken in time goes by the session too. One coarse timer for all. */
  #relayOverdue(): void {
    this.#timer = null;
    const limitMs = this.#deps.clock.monotonicMs() - this.#config.busTimeoutMs;
    for (let first = this.#onTheirWay.peek(); first !== undefined; first = this.#onTheirWay.peek()) {
      if (first.pending && !first.gone && first.sentMs > limitMs) return this.#lookLater();
      this.#onTheirWay.shift();
      if (first.pending && !first.gone && !first.relayed) this.#relayed(first);
    }
  }

  #lookLater(): void {
    this.#timer ??= this.#deps.clock.setTimer(this.#config.busTimeoutMs / LOOKS, () => this.#relayOverdue());
  }

  /**
   * Results that end together go to one partition, so that a scheduler stores
   * them in one transaction; every few moments it is the next one. Executors
   * begin at different partitions, by their identifiers.
   */
  #partitionNow(result: AttemptResult): number {
    const count = Math.max(this.#partitions.length, 1);
    const turns = Math.floor(this.#deps.clock.monotonicMs() / PARTITION_TURN_MS);
    return (placeOf(result.executorId, count) + turns) % count;
  }

  #produce(kept: KeptResult): void {
    const { bus } = this.#deps;
    const partition = this.#partitionNow(kept.result);
    const own = this.#partitions[partition];
    if (bus === null || own === undefined || !this.#busUsable || !own.usable) return this.#relayed(kept);
    kept.partition = partition;
    kept.generation = own.generation;
    kept.offset = -1;
    kept.floorOffset = own.nextOffset;
    kept.sentMs = this.#deps.clock.monotonicMs();
    kept.pending = true;
    this.#onTheirWay.push(kept);
    this.#lookLater();
    bus.sendResult(partition, kept.result).then(
      (position) => this.#acknowledged(kept, own, position),
      () => this.#refused(kept),
    );
    // Waiting for a bus that is known to be away would hold the slot for as long; what it takes all the same does no harm.
    if (!bus.health().healthy && !kept.relayed) this.#relayed(kept);
  }

  #acknowledged(kept: KeptResult, own: ResultPartition, position: ResultPosition): void {
    kept.pending = false;
    if (kept.gone) return;
    const way = own.acknowledged(kept, position.offset);
    if (way === "stands") this.#sent(kept);
    else if (way === "stored") this.#forget(kept);
    else if (way === "again") this.#produce(kept);
    else if (!kept.relayed) this.#relayed(kept);
  }

  #refused(kept: KeptResult): void {
    kept.pending = false;
    if (!kept.gone && !kept.relayed) this.#relayed(kept);
  }

  #relayed(kept: KeptResult): void {
    this.#relay.add(kept);
    this.#deps.onRelay();
  }

  #sent(kept: KeptResult): void {
    if (kept.capability < 0) return;
    const { capability } = kept;
    kept.capability = -1;
    this.#deps.onSent(capability);
  }

  #forget(kept: KeptResult): void {
    kept.gone = true;
    this.#all.delete(kept);
    this.#bytes -= kept.bytes;
    this.#sent(kept);
    this.#deps.known.stored(kept.known, this.#deps.clock.monotonicMs());
  }
}
