import assert from "node:assert/strict";
import { test } from "node:test";
import type { KafkaMessage } from "kafkajs";
import { ResultDelivery } from "../../../services/common/adapter/kafka/result-delivery.ts";
import { silentLogger } from "../../../services/common/runtime/log.ts";
import { encodeResult } from "../../../services/common/wire/result-event.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { sampleResult } from "../wire/samples.ts";

const value = Buffer.from(encodeResult(sampleResult()));

function message(offset: number): KafkaMessage {
  return { key: Buffer.from("k"), value, timestamp: "1", attributes: 0, offset: String(offset), headers: {} };
}

function messages(from: number, count: number): KafkaMessage[] {
  return Array.from({ length: count }, (_, at) => message(from + at));
}

/** A delivery of two partitions with a handler that the test steps, and what it asked of the fetcher. */
function setup(maxWaitingBytes: number) {
  const clock = new ManualClock();
  const asked: string[] = [];
  const fetch = {
    seek: (partition: number, offset: number) => void asked.push(`seek ${partition} ${offset}`),
    pause: (partition: number) => void asked.push(`pause ${partition}`),
    resume: (partition: number) => void asked.push(`resume ${partition}`),
  };
  const config = { resultPartitions: 2, maxDelivered: 10, maxWaitingBytes };
  const delivery = new ResultDelivery({ clock, log: silentLogger, fetch: () => fetch }, config);
  const handed: number[][] = [];
  const steps: (() => void)[] = [];
  delivery.handler = (_, records) => {
    handed.push(records.map(({ offset }) => offset));
    return new Promise((resolve) => steps.push(resolve));
  };
  const step = async (): Promise<void> => {
    steps.shift()?.();
    await clock.advance(0);
  };
  return { clock, delivery, asked, handed, step };
}

test("a partition is fetched no further while enough of it waits, and again when half of that is handed over", async () => {
  const perRecord = value.length + 65;
  const { delivery, asked, handed, step } = setup(perRecord * 20);
  delivery.read([{ partition: 0, offset: 0 }]);
  delivery.take(0, messages(0, 10));
  delivery.take(0, messages(10, 20));
  assert.deepEqual(asked, ["seek 0 0"]);
  delivery.take(0, messages(30, 5));
  assert.deepEqual(asked, ["seek 0 0", "pause 0"]);
  await step();
  assert.deepEqual(asked, ["seek 0 0", "pause 0"], "15 wait, which is more than half");
  await step();
  assert.deepEqual(asked, ["seek 0 0", "pause 0", "resume 0"]);
  await step();
  assert.deepEqual(handed.flat(), [...Array(35).keys()]);
  assert.ok(handed.every((batch) => batch.length <= 10));
});

test("each join goes on behind what waits, and leaves out what is not read", () => {
  const { delivery } = setup(1_000_000);
  delivery.read([{ partition: 0, offset: 5 }]);
  assert.deepEqual([delivery.fetchOffset(0), delivery.fetchOffset(1)], [5, null]);
  delivery.take(0, messages(5, 20));
  assert.deepEqual([delivery.fetchOffset(0), delivery.fetchOffset(1)], [25, null]);
  delivery.take(1, messages(0, 1));
  assert.equal(delivery.fetchOffset(1), null);
});

test("a new position drops what waits; the one where it stands changes nothing", async () => {
  const { delivery, asked, handed, step } = setup(1_000_000);
  delivery.read([{ partition: 0, offset: 0 }]);
  delivery.take(0, messages(0, 25));
  delivery.read([{ partition: 0, offset: 10 }]);
  assert.deepEqual(asked, ["seek 0 0"]);
  await step();
  assert.deepEqual(
    handed,
    [messages(0, 10), messages(10, 10)].map((batch) => batch.map(({ offset }) => Number(offset))),
  );
  delivery.read([{ partition: 0, offset: 3 }]);
  assert.deepEqual(asked, ["seek 0 0", "seek 0 3"]);
  await step();
  assert.equal(handed.length, 2, "the five that waited are gone");
  delivery.take(0, messages(3, 2));
  assert.deepEqual(handed.at(-1), [3, 4]);
});

test("a partition that was paused is not resumed by what is left of it after it is read no more", async () => {
  const { delivery, asked, handed, step } = setup(1);
  delivery.read([{ partition: 0, offset: 0 }]);
  delivery.take(0, messages(0, 20));
  delivery.read([]);
  await step();
  assert.deepEqual(asked, ["seek 0 0", "pause 0", "pause 0"]);
  assert.equal(handed.length, 1);
});

test("what the handler rejects is handed over again after a while, but not once it is read from elsewhere", async () => {
  const { clock, delivery } = setup(1_000_000);
  const handed: number[][] = [];
  delivery.handler = async (_, records) => {
    handed.push(records.map(({ offset }) => offset));
    throw new Error("the store is away");
  };
  delivery.read([{ partition: 0, offset: 0 }]);
  delivery.take(0, messages(0, 2));
  await clock.advance(249);
  assert.deepEqual(handed, [[0, 1]]);
  await clock.advance(1);
  assert.deepEqual(handed, [
    [0, 1],
    [0, 1],
  ]);
  delivery.read([{ partition: 0, offset: 7 }]);
  await clock.advance(1_000);
  assert.equal(handed.length, 2);
  delivery.take(0, messages(7, 1));
  assert.deepEqual(handed.at(-1), [7]);
  delivery.close();
  await clock.advance(0);
  assert.equal(clock.armedCount, 0);
});
