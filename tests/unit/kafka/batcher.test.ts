import assert from "node:assert/strict";
import { test } from "node:test";
import {
  Batcher,
  type BatcherConfig,
  RecordsRefused,
  type SendBatch,
} from "../../../services/common/adapter/kafka/batcher.ts";
import type { OutgoingRecord } from "../../../services/common/adapter/kafka/records.ts";
import { BusUnavailable } from "../../../services/common/port/bus.ts";
import { ManualClock } from "../../support/manual-clock.ts";

const config: BatcherConfig = {
  sendTimeoutMs: 1_000,
  maxQueuedRecords: 10,
  maxQueuedBytes: 10_000_000,
  maxBatchRecords: 4,
  maxBatchBytes: 3_000_000,
};

function record(key: string, bytes = 10, partition = 0): OutgoingRecord {
  return { topic: "t", partition, key, value: Buffer.alloc(bytes), headers: {} };
}

/** A broker that answers when the test says so. */
class SteppedBroker {
  readonly clock = new ManualClock();
  readonly batches: string[][] = [];
  readonly #answers: { resolve: (offsets: readonly number[]) => void; reject: (error: Error) => void }[] = [];
  #next = 0;
  readonly batcher: Batcher;

  constructor(parts: Partial<BatcherConfig> = {}, send?: SendBatch) {
    this.batcher = new Batcher(this.clock, send ?? ((records) => this.#take(records)), { ...config, ...parts });
  }

  /** Lets everything run that needs no time. */
  settle(): Promise<void> {
    return this.clock.advance(0);
  }

  /** Takes the oldest batch that has no answer. */
  async accept(): Promise<void> {
    const batch = this.batches[this.batches.length - this.#answers.length] ?? [];
    this.#answers.shift()?.resolve(batch.map(() => this.#next++));
    await this.settle();
  }

  async fail(error: Error): Promise<void> {
    this.#answers.shift()?.reject(error);
    await this.settle();
  }

  #take(records: readonly OutgoingRecord[]): Promise<readonly number[]> {
    this.batches.push(records.map(({ key }) => key));
    return new Promise((resolve, reject) => this.#answers.push({ resolve, reject }));
  }
}

/** What became of sends: an offset, a reason, or "waits". */
function watch(sends: readonly Promise<number>[]): (number | string)[] {
  const seen: (number | string)[] = sends.map(() => "waits");
  sends.forEach((send, at) => {
    send.then(
      (offset) => {
        seen[at] = offset;
      },
      (error: Error & { reason?: string }) => {
        seen[at] = error instanceof BusUnavailable ? `unavailable: ${error.message}` : (error.reason ?? error.message);
      },
    );
  });
  return seen;
}

test("records of one turn travel together, and the next batch collects while one is in flight", async () => {
  const broker = new SteppedBroker();
  const seen = watch(["a", "b"].map((key) => broker.batcher.add(record(key))));
  await broker.settle();
  const later = watch(["c", "d", "e"].map((key) => broker.batcher.add(record(key))));
  await broker.settle();
  assert.deepEqual(broker.batches, [["a", "b"]]);
  await broker.accept();
  assert.deepEqual(broker.batches, [
    ["a", "b"],
    ["c", "d", "e"],
  ]);
  assert.deepEqual(seen, [0, 1]);
  await broker.accept();
  assert.deepEqual(later, [2, 3, 4]);
});

test("rule 28: a batch ends at 900 KiB of one partition, at its records and at its bytes", async () => {
  const broker = new SteppedBroker({ maxQueuedRecords: 100 });
  const sends = [
    record("a", 500_000),
    record("b", 500_000, 1),
    record("c", 500_000),
    record("d", 1_500_000),
    record("e"),
    ...["f", "g", "h", "i", "j"].map((key) => record(key)),
    record("k", 800_000, 1),
    record("l", 800_000, 2),
    record("m", 800_000, 3),
    record("n", 800_000, 4),
  ];
  const seen = watch(sends.map((one) => broker.batcher.add(one)));
  await broker.settle();
  for (let batches = 0; batches < broker.batches.length; batches++) await broker.accept();
  assert.deepEqual(broker.batches, [["a", "b"], ["c"], ["d"], ["e", "f", "g", "h"], ["i", "j", "k", "l"], ["m", "n"]]);
  assert.deepEqual(seen, [...sends.keys()]);
});

test("rule 28: of records that are refused only the one at fault fails, the others keep their order", async () => {
  const written: string[] = [];
  const broker = new SteppedBroker({ maxBatchRecords: 10 }, async (records) => {
    if (records.some(({ key }) => key === "bad")) throw new RecordsRefused("too large");
    return records.map(({ key }) => written.push(key) - 1);
  });
  const seen = watch(["a", "b", "bad", "c", "d", "e"].map((key) => broker.batcher.add(record(key))));
  await broker.settle();
  assert.deepEqual(seen, [0, 1, "MESSAGE_TOO_LARGE", 2, 3, 4]);
  assert.deepEqual(written, ["a", "b", "c", "d", "e"]);
  assert.equal(broker.batcher.trouble, "");
});

test("a record that no topic takes fails at once", async () => {
  const broker = new SteppedBroker();
  await assert.rejects(broker.batcher.add(record("a", 2 * 1024 * 1024)), { reason: "MESSAGE_TOO_LARGE" });
});

test("what is not taken in time is refused, sent or not, and what becomes of it later is ignored", async () => {
  const broker = new SteppedBroker();
  const seen = watch(["a"].map((key) => broker.batcher.add(record(key))));
  await broker.settle();
  await broker.clock.advance(600);
  const later = watch(["b"].map((key) => broker.batcher.add(record(key))));
  await broker.clock.advance(399);
  assert.deepEqual([...seen, ...later], ["waits", "waits"]);
  await broker.clock.advance(2);
  const late = "unavailable: the bus did not take it in time";
  assert.deepEqual([...seen, ...later], [late, "waits"]);
  assert.notEqual(broker.batcher.trouble, "");
  await broker.clock.advance(600);
  assert.deepEqual([...seen, ...later], [late, late]);
  await broker.accept();
  assert.deepEqual(broker.batches, [["a"]], "what was refused before it was sent is not sent");
  assert.deepEqual(seen, [late]);
  assert.equal(broker.batcher.trouble, "");
});

test("a batch that failed is told to its senders alone, and another try is thought worth it a second later", async () => {
  const broker = new SteppedBroker();
  const seen = watch(["a", "b"].map((key) => broker.batcher.add(record(key))));
  await broker.settle();
  const later = watch(["c"].map((key) => broker.batcher.add(record(key))));
  await broker.fail(new Error("connection refused"));
  assert.deepEqual(seen, ["unavailable: connection refused", "unavailable: connection refused"]);
  assert.equal(broker.batcher.trouble, "connection refused");
  await broker.accept();
  assert.deepEqual(later, [0]);
  assert.equal(broker.batcher.trouble, "");
  const last = watch([broker.batcher.add(record("d"))]);
  await broker.settle();
  await broker.fail(new Error("connection refused"));
  assert.deepEqual(last, ["unavailable: connection refused"]);
  assert.equal(broker.batcher.trouble, "connection refused");
  await broker.clock.advance(1_000);
  assert.equal(broker.batcher.trouble, "");
});

test("records and bytes that wait have a limit", async () => {
  const broker = new SteppedBroker({ maxQueuedRecords: 3, maxQueuedBytes: 1_000_000 });
  const seen = watch(["a", "b", "c", "d"].map((key) => broker.batcher.add(record(key))));
  await broker.settle();
  assert.deepEqual(seen, ["waits", "waits", "waits", "unavailable: too much waits to be sent"]);
  await broker.accept();
  assert.deepEqual(seen.slice(0, 3), [0, 1, 2]);
  const large = watch([record("e", 600_000), record("f", 600_000)].map((one) => broker.batcher.add(one)));
  await broker.settle();
  assert.deepEqual(large, ["waits", "unavailable: too much waits to be sent"]);
  await broker.accept();
  const again = watch([broker.batcher.add(record("g", 600_000))]);
  await broker.settle();
  await broker.accept();
  assert.deepEqual(again, [4]);
});

test("closing takes nothing new, waits for what is on its way, and leaves no timer", async () => {
  const broker = new SteppedBroker();
  const seen = watch(["a"].map((key) => broker.batcher.add(record(key))));
  await broker.settle();
  let isClosed = false;
  const closing = broker.batcher.close().then(() => {
    isClosed = true;
  });
  await assert.rejects(broker.batcher.add(record("b")), BusUnavailable);
  await broker.settle();
  assert.equal(isClosed, false);
  await broker.accept();
  await closing;
  assert.deepEqual(seen, [0]);
  assert.equal(broker.clock.armedCount, 0);
});

test("closing ends by the timeout when the broker does not answer", async () => {
  const broker = new SteppedBroker();
  const seen = watch(["a"].map((key) => broker.batcher.add(record(key))));
  await broker.settle();
  const closing = broker.batcher.close();
  await broker.clock.advance(1_001);
  await closing;
  assert.deepEqual(seen, ["unavailable: the bus did not take it in time"]);
  assert.equal(broker.clock.armedCount, 0);
});
