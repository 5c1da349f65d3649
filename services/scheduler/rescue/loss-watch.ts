/**
 * Rule 14: who lives is in the store. A rescuer reads all executors once a
 * beat and counts, for each, the reads in a row that found its heard_time
 * unchanged and its lease gone. Only a count, of reads at least a beat apart
 * by the monotonic clock, declares anyone lost: a failed read adds nothing, a
 * longer gap adds one. So no clock step, start, pause or outage of the rescuer
 * declares anyone lost.
 */
import type { ExecutorRecord } from "../../common/domain/executor.ts";

/** Lease and beat, milliseconds. */
export type LossTimes = {
  readonly heartbeatMs: number;
  /** Lease of executors that register. */
  readonly leaseMs: number;
  /** Lease of executors that live by their session alone. */
  readonly sessionLeaseMs: number;
  /** Added to the lease: an executor that is cut off has stopped by then. */
  readonly marginMs: number;
};

type Watched = { heardUs: number; silentReads: number };

/** Counts silent reads for each incarnation. */
export class LossWatch {
  readonly #times: LossTimes;
  readonly #watched = new Map<string, Watched>();
  #lastReadMs = Number.NEGATIVE_INFINITY;

  constructor(times: LossTimes) {
    this.#times = times;
  }

  /**
   * Takes one read and answers who is lost by it.
   *
   * @param present "executor_id/incarnation" whose lease the registry shows, or executor_ids alone; null when the registry could not be asked, which
   *   counts nothing for executors that register
   * @param nowMs monotonic milliseconds; a read less than a beat after the one before counts nothing
   */
  read(records: readonly ExecutorRecord[], present: ReadonlySet<string> | null, nowMs: number): ExecutorRecord[] {
    if (nowMs - this.#lastReadMs < this.#times.heartbeatMs) return [];
    this.#lastReadMs = nowMs;
    const lost: ExecutorRecord[] = [];
    const seen = new Set<string>();
    for (const record of records) {
      const name = `${record.executorId}/${record.incarnation}`;
      seen.add(name);
      const watched = this.#watched.get(name);
      if (watched === undefined || watched.heardUs !== record.heardUs) {
        this.#watched.set(name, { heardUs: record.heardUs, silentReads: 0 });
        continue;
      }
      if (record.registered && present === null) continue;
      if (record.registered && (present?.has(name) || present?.has(record.executorId))) {
        watched.silentReads = 0;
        continue;
      }
      watched.silentReads += 1;
      if (watched.silentReads >= this.#readsUntilLost(record)) lost.push(record);
    }
    for (const name of this.#watched.keys()) if (!seen.has(name)) this.#watched.delete(name);
    return lost;
  }

  #readsUntilLost(record: ExecutorRecord): number {
    const { heartbeatMs, leaseMs, sessionLeaseMs, marginMs } = this.#times;
    const lease = record.registered ? leaseMs : sessionLeaseMs;
    return Math.ceil((lease + marginMs) / heartbeatMs) + 1;
  }
}
