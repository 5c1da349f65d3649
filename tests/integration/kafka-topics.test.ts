/** The topics and groups of the bus on Kafka: how they are made, checked, lost and left. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Admin, Kafka, logLevel, type Producer } from "kafkajs";
import { Target } from "../../gen/jobmesh/v1/job.ts";
import { JobmeshError } from "../../services/common/error/jobmesh-error.ts";
import { BusUnavailable, type ExecutorBus } from "../../services/common/port/bus.ts";
import { type Backends, startBackends, testCluster } from "../support/backends.ts";
import { eventually, gatherOrders, gatherResults, numberOf, openKafkaBus, order, result } from "../support/bus.ts";
import { outsideTurn } from "../support/outside-turn.ts";

let backends: Backends;
let admin: Admin;
let producer: Producer;
const warnings: string[] = [];
const noteWarning = (warning: Error): void => void warnings.push(`${warning.name}: ${warning.message}`);

before(async () => {
  process.on("warning", noteWarning);
  backends = await startBackends({ kafka: true });
  const kafka = new Kafka({ brokers: backends.kafkaBrokers, logLevel: logLevel.NOTHING });
  admin = kafka.admin();
  producer = kafka.producer({ createPartitioner: () => () => 0 });
  await Promise.all([admin.connect(), producer.connect()]);
});

after(async () => {
  await Promise.all([admin.disconnect(), producer.disconnect()]);
  await backends.stop();
  process.off("warning", noteWarning);
});

/** The settings of a topic. */
async function settingsOf(topic: string): Promise<Map<string, string>> {
  const described = await admin.describeConfigs({ resources: [{ type: 2, name: topic }], includeSynonyms: false });
  return new Map(described.resources[0]?.configEntries.map(({ configName, configValue }) => [configName, configValue]));
}

/**
 * Sends results until one is taken by a topic made anew, which begins at 0: some are refused until it is there, and one
 * may still be taken by the topic that goes, because the controller answers a deletion before the broker has done it.
 */
async function sendUntilRemade(executor: ExecutorBus, number: number, sentBefore: number): Promise<number> {
  for (;;) {
    try {
      const { offset } = await executor.sendResult(0, result(number));
      if (offset < sentBefore) return offset;
    } catch (thrown) {
      assert.ok(thrown instanceof BusUnavailable, String(thrown));
    }
  }
}

test("missing topics are made with what they need to keep", async (t) => {
  const bus = openKafkaBus(backends.kafkaBrokers);
  t.after(bus.close);
  await bus.scheduler().start();
  const names = [`${bus.cluster}.dispatch.v1`, `${bus.cluster}.result.v1`];
  const { topics } = await admin.fetchTopicMetadata({ topics: names });
  assert.deepEqual(new Set(topics.map(({ name }) => name)), new Set(names));
  for (const { partitions } of topics) assert.equal(partitions.length, bus.resultPartitions);
  const [dispatch, results] = await Promise.all(names.map(settingsOf));
  assert.equal(dispatch?.get("retention.ms"), "3600000");
  assert.equal(results?.get("retention.ms"), String(7 * 24 * 3_600_000));
  for (const settings of [dispatch, results]) assert.equal(settings?.get("max.message.bytes"), String(2 * 1024 * 1024));
});

test("a topic that would lose work is refused by name, with what is needed", async (t) => {
  const cluster = testCluster();
  const bus = openKafkaBus(backends.kafkaBrokers, { cluster });
  t.after(bus.close);
  const configEntries = [
    { name: "retention.ms", value: "86400000" },
    { name: "max.message.bytes", value: "1000000" },
    { name: "cleanup.policy", value: "compact,delete" },
  ];
  await admin.createTopics({
    topics: [
      { topic: `${cluster}.result.v1`, numPartitions: 4, configEntries },
      { topic: `${cluster}.dispatch.v1`, numPartitions: 2, configEntries: [{ name: "retention.ms", value: "60000" }] },
    ],
  });
  const outcomes = await Promise.allSettled([bus.scheduler().start(), bus.executor().start(0)]);
  for (const outcome of outcomes) {
    const fault = outcome.status === "rejected" ? outcome.reason : "it started";
    assert.ok(fault instanceof JobmeshError && fault.reason === "BACKEND_UNSUITABLE", String(fault));
    assert.deepEqual(fault.message.split("; "), [
      `topic ${cluster}.dispatch.v1: its number of partitions is 2, at least 4 is needed`,
      `topic ${cluster}.dispatch.v1: retention.ms is 60000, at least 3600000 is needed`,
      `topic ${cluster}.dispatch.v1: max.message.bytes is 1048588, at least 2097152 is needed`,
      `topic ${cluster}.result.v1: retention.ms is 86400000, at least 604800000 is needed`,
      `topic ${cluster}.result.v1: max.message.bytes is 1000000, at least 2097152 is needed`,
      `topic ${cluster}.result.v1: cleanup.policy is compact,delete, delete is needed`,
    ]);
  }
});

test("topics with more replicas than there are brokers are refused by name", async (t) => {
  const bus = openKafkaBus(backends.kafkaBrokers, { replication: 3 });
  t.after(bus.close);
  const scheduler = bus.scheduler();
  await assert.rejects(scheduler.start(), { reason: "BACKEND_UNSUITABLE", message: /dispatch\.v1: 3 replicas/ });
  assert.equal(scheduler.health().healthy, false);
});

for (const remadeBy of ["somebody", "the bus itself"] as const) {
  test(`rule 27: topics that are deleted and made anew by ${remadeBy} are used on, from their beginning`, async (t) => {
    const bus = openKafkaBus(backends.kafkaBrokers, { sendTimeoutMs: 1_000 });
    t.after(bus.close);
    const [scheduler, executor] = [bus.scheduler(), bus.executor()];
    const orders = gatherOrders(executor);
    const records = gatherResults(scheduler);
    await Promise.all([scheduler.start(), executor.start(0)]);
    for (const number of [0, 1, 2]) await executor.sendResult(0, result(number));
    await scheduler.sendOrder(0, order(0));
    scheduler.readResults([{ partition: 0, offset: 0 }]);
    await Promise.all([records.reached(3), orders.reached(1)]);

    const topics = [`${bus.cluster}.result.v1`, `${bus.cluster}.dispatch.v1`];
    await admin.deleteTopics({ topics });
    if (remadeBy === "somebody") {
      const settings = [
        { name: "retention.ms", value: "-1" },
        { name: "max.message.bytes", value: "2097152" },
      ];
      const made = topics.map((topic) => ({ topic, numPartitions: 4, configEntries: settings }));
      await admin.createTopics({ topics: made, waitForLeaders: false });
    }
    const offset = await sendUntilRemade(executor, 3, 3);
    await eventually(() => records.items.slice(3).some((record) => record.offset === offset));
    await eventually(() => scheduler.health().healthy && executor.health().healthy);
    // In the new topic it may stand where the lane was read up to in the old one; a session sends it until it came.
    while (!orders.items.some((one) => numberOf(one) === 1)) await scheduler.sendOrder(0, order(1));
  });
}

test("a record that is no result is told by its record key, and the next one is read", async (t) => {
  const bus = openKafkaBus(backends.kafkaBrokers);
  t.after(bus.close);
  const [scheduler, executor] = [bus.scheduler(), bus.executor()];
  const records = gatherResults(scheduler);
  await Promise.all([scheduler.start(), executor.start(0)]);
  const topic = `${bus.cluster}.result.v1`;
  await producer.send({
    topic,
    messages: [
      { key: "junk", value: Buffer.from([0xff, 0xff, 0xff]), timestamp: "1000" },
      { key: null, value: null },
    ],
  });
  await executor.sendResult(0, result(7));
  scheduler.readResults([{ partition: 0, offset: 0 }]);
  await records.reached(3);
  const read = records.items.map((record) => (record.result === null ? record.keyText : numberOf(record.result)));
  assert.deepEqual(read, ["junk@0", "@1", 7]);
  // The broker's time counts, not the producer's.
  for (const { timeMs } of records.items) assert.ok(Math.abs(timeMs - Date.now()) < 60_000, `${timeMs}`);
});

test("a record of the lane that is no order is passed over", async (t) => {
  const bus = openKafkaBus(backends.kafkaBrokers);
  t.after(bus.close);
  const [scheduler, executor] = [bus.scheduler(), bus.executor()];
  const orders = gatherOrders(executor);
  await Promise.all([scheduler.start(), executor.start(0)]);
  await producer.send({ topic: `${bus.cluster}.dispatch.v1`, messages: [{ key: "junk", value: "junk" }] });
  await scheduler.sendOrder(0, order(1));
  await orders.reached(1);
  assert.deepEqual(orders.items.map(numberOf), [1]);
  assert.equal(executor.health().healthy, true);
});

/** A broker takes a change of a topic's config over some moments after it has answered. */
async function configShown(topic: string, name: string, value: string): Promise<void> {
  for (;;) {
    const resources = [{ type: 2, name: topic, configNames: [name] }];
    const described = await admin.describeConfigs({ resources, includeSynonyms: false });
    if (described.resources[0]?.configEntries.some((entry) => entry.configValue === value)) return;
    await outsideTurn();
  }
}

test("rule 28: batches are cut so that large orders pass, and what the broker refuses fails alone", async (t) => {
  const bus = openKafkaBus(backends.kafkaBrokers);
  t.after(bus.close);
  const [scheduler, executor] = [bus.scheduler(), bus.executor()];
  const orders = gatherOrders(executor);
  await Promise.all([scheduler.start(), executor.start(0)]);
  const sized = (number: number, bytes: number) => {
    const one = order(number);
    const payload = { $case: "request", value: Buffer.alloc(bytes) } as const;
    const target = Target.encode({ kind: { $case: "handler", value: { method: "demo.Reports/Render", payload } } });
    return { ...one, target: { ...one.target, bytes: target.finish() } };
  };
  const sizes = [1_500_000, ...Array.from({ length: 24 }, () => 512 * 1024)];
  await Promise.all(sizes.map((bytes, number) => scheduler.sendOrder(0, sized(number, bytes))));

  const resources = [
    { type: 2, name: `${bus.cluster}.dispatch.v1`, configEntries: [{ name: "max.message.bytes", value: "100000" }] },
  ];
  await admin.alterConfigs({ validateOnly: false, resources });
  await configShown(`${bus.cluster}.dispatch.v1`, "max.message.bytes", "100000");
  const small = [25, 26, 27, 28, 29].map((number) =>
    scheduler.sendOrder(0, sized(number, number === 27 ? 150_000 : 10)),
  );
  const outcomes = await Promise.allSettled(small);
  const said = outcomes.map((outcome) => (outcome.status === "fulfilled" ? "sent" : outcome.reason.reason));
  assert.deepEqual(said, ["sent", "sent", "MESSAGE_TOO_LARGE", "sent", "sent"]);
  const expected = [...sizes.keys(), 25, 26, 28, 29];
  await orders.reached(expected.length);
  assert.deepEqual(orders.items.map(numberOf), expected);
});

test("rule 29: groups are deleted on exit", async (t) => {
  const bus = openKafkaBus(backends.kafkaBrokers);
  t.after(bus.close);
  const groups = async () => {
    const all = (await admin.listGroups()).groups.map(({ groupId }) => groupId);
    return all.filter((group) => group.startsWith(bus.cluster)).sort();
  };
  await Promise.all([bus.scheduler().start(), bus.executor().start(0)]);
  // A young broker has no coordinator yet: then it is not the first consumer that joins, and its group is not the first.
  const there = (await groups()).map((group) => group.slice(bus.cluster.length).replace(/\d+$/, ""));
  assert.deepEqual(there, [".lane.executor2.", ".result.scheduler1."]);
  await bus.close();
  assert.deepEqual(await groups(), []);
});

test("kafkajs makes Node warn of nothing", () => {
  assert.deepEqual(warnings, []);
});
