import type { KafkaMessage } from "kafkajs";
import { fetchedBytes } from "./records.ts";

/**
 * ResultQueue is what was fetched of one result partition and waits for the
 * handler. Where the next record is fetched from and where the next one is
 * handed over from differ by what waits.
 */
export class ResultQueue {
  readonly partition: number;
  /** False for a partition that is not read. */
  reading = false;
  /** Fetching is paused because enough waits. */
  paused = false;
  /** The handler has records of it. */
  busy = false;
  /** Raised by each new position: what was on its way to the handler before is not handed over again. */
  epoch = 0;
  /** Where the next record is fetched from. */
  fetchOffset = 0;
  /** The next record for the handler. */
  nextOffset = 0;
  /** Bytes that wait. */
  bytes = 0;
  #waiting: KafkaMessage[] = [];
  #taken = 0;

  constructor(partition: number) {
    this.partition = partition;
  }

  /** Reads from an offset on. */
  seek(offset: number): void {
    this.#clear();
    this.reading = true;
    this.fetchOffset = offset;
    this.nextOffset = offset;
  }

  /** Reads no more. */
  drop(): void {
    this.#clear();
    this.reading = false;
  }

  /** Adds what was fetched. */
  push(messages: readonly KafkaMessage[]): void {
    const last = messages.at(-1);
    if (last === undefined) return;
    for (const message of messages) {
      this.bytes += fetchedBytes(message);
      this.#waiting.push(message);
    }
    this.fetchOffset = Number(last.offset) + 1;
  }

  /** Takes up to `count` records for the handler. */
  take(count: number): readonly KafkaMessage[] {
    const taken = this.#waiting.slice(this.#taken, this.#taken + count);
    this.#taken += taken.length;
    if (this.#taken === this.#waiting.length) {
      this.#waiting = [];
      this.#taken = 0;
    }
    for (const message of taken) this.bytes -= fetchedBytes(message);
    const last = taken.at(-1);
    if (last !== undefined) this.nextOffset = Number(last.offset) + 1;
    return taken;
  }

  #clear(): void {
    this.#waiting = [];
    this.#taken = 0;
    this.bytes = 0;
    this.paused = false;
    this.epoch++;
  }
}
