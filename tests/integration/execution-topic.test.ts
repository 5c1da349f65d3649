/** Rule 34: execution.v1 on a real broker: how the topic is made and checked, what stands in it, and what its loss does to others. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Admin, Kafka, logLevel, Partitioners } from "kafkajs";
import { ExecutionState } from "../../gen/jobmesh/v1/execution.ts";
import { BusUnavailable, type ExecutionChange } from "../../services/common/port/bus.ts";
import { type Backends, KafkaServer, startBackends, testCluster } from "../support/backends.ts";
import { eventually, numbers, openKafkaBus, order } from "../support/bus.ts";
import { readExecutionTopic } from "../support/execution-topic.ts";
import { sampleExecution } from "../unit/wire/samples.ts";

const DAY_MS = 86_400_000;
const TRACE = `00-${"ab".repeat(16)}-${"cd".repeat(8)}-01`;
let backends: Backends;
let admin: Admin;

before(async () => {
  backends = await startBackends({ kafka: true });
  admin = new Kafka({ brokers: backends.kafkaBrokers, logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
});

after(async () => {
  await admin.disconnect();
  await backends.stop();
});

function change(): ExecutionChange {
  const execution = sampleExecution({ traceparent: TRACE, tracestate: "a=b", state: "SUCCEEDED" });
  return { execution, timeUs: execution.createUs };
}

test("the topic is made only where it is switched on, with as many partitions as results have and seven days", async (t) => {
  const off = openKafkaBus(backends.kafkaBrokers);
  const on = openKafkaBus(backends.kafkaBrokers, { executionEvents: true });
  t.after(() => Promise.all([off.close(), on.close()]));
  await Promise.all([off.scheduler().start(), on.scheduler().start()]);
  const topics = await admin.listTopics();
  assert.ok(!topics.includes(`${off.cluster}.execution.v1`));
  const topic = `${on.cluster}.execution.v1`;
  const [made] = (await admin.fetchTopicMetadata({ topics: [topic] })).topics;
  assert.equal(made?.partitions.length, on.resultPartitions);
  const { resources } = await admin.describeConfigs({ resources: [{ type: 2, name: topic }], includeSynonyms: false });
  const config = new Map(resources[0]?.configEntries.map(({ configName, configValue }) => [configName, configValue]));
  assert.deepEqual(
    [config.get("retention.ms"), config.get("max.message.bytes"), config.get("cleanup.policy")],
    [String(7 * DAY_MS), String(2 * 1024 * 1024), "delete"],
  );
});

test("a topic that keeps less than seven days is refused by name, with what is needed", async (t) => {
  const cluster = testCluster();
  const bus = openKafkaBus(backends.kafkaBrokers, { cluster, executionEvents: true });
  t.after(bus.close);
  const configEntries = [
    { name: "retention.ms", value: String(6 * DAY_MS) },
    { name: "max.message.bytes", value: String(2 * 1024 * 1024) },
  ];
  await admin.createTopics({ topics: [{ topic: `${cluster}.execution.v1`, numPartitions: 2, configEntries }] });
  await assert.rejects(bus.scheduler().start(), {
    reason: "BACKEND_UNSUITABLE",
    message: [
      `topic ${cluster}.execution.v1: its number of partitions is 2, at least 4 is needed`,
      `topic ${cluster}.execution.v1: retention.ms is ${6 * DAY_MS}, at least ${7 * DAY_MS} is needed`,
    ].join("; "),
  });
});

test("a record has the execution's id as its key, its trace in the headers, and the partition that Kafka's clients choose", async (t) => {
  const bus = openKafkaBus(backends.kafkaBrokers, { executionEvents: true });
  t.after(bus.close);
  const scheduler = bus.scheduler();
  await scheduler.start();
  const events = await readExecutionTopic(t, backends.kafkaBrokers, bus.cluster);
  const changes = numbers(40).map(change);
  await Promise.all(changes.map((one) => scheduler.sendExecution(one)));
  await events.reached(changes.length);
  const kafka = new Kafka({ brokers: backends.kafkaBrokers, logLevel: logLevel.NOTHING });
  const other = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
  await other.connect();
  for (const { key, partition, headers, event } of events.items) {
    assert.ok(changes.some(({ execution }) => execution.executionId === key));
    assert.equal(event.execution?.executionId, key);
    assert.equal(event.execution.state, ExecutionState.EXECUTION_STATE_SUCCEEDED);
    assert.deepEqual(headers, { traceparent: TRACE, tracestate: "a=b" });
    const [sent] = await other.send({ topic: `${bus.cluster}.dispatch.v1`, messages: [{ key, value: "x" }] });
    assert.equal(partition, sent?.partition, "any topic of as many partitions has the key at the same place");
  }
  await other.disconnect();
});

test("a topic that is deleted while schedulers run keeps no order waiting, and is made anew", async (t) => {
  const bus = openKafkaBus(backends.kafkaBrokers, { executionEvents: true, sendTimeoutMs: 2_000 });
  t.after(bus.close);
  const scheduler = bus.scheduler();
  await scheduler.start();
  await scheduler.sendExecution(change());
  await admin.deleteTopics({ topics: [`${bus.cluster}.execution.v1`] });
  let refused = 0;
  const last = change();
  // Some may still be taken by the topic that goes.
  for (let isWritten = false; refused === 0 || !isWritten; ) {
    const [written] = await Promise.all([
      scheduler.sendExecution(last).then(
        () => null,
        (error: unknown) => error,
      ),
      scheduler.sendOrder(0, order(refused)),
    ]);
    assert.ok(written === null || written instanceof BusUnavailable, String(written));
    isWritten = written === null;
    if (!isWritten) refused += 1;
  }
  const events = await readExecutionTopic(t, backends.kafkaBrokers, bus.cluster);
  await events.reached(1);
  assert.ok(events.items.some(({ key }) => key === last.execution.executionId));
});

test("a broker that is away refuses a change in time; when it is back the next one is taken", async (t) => {
  const server = new KafkaServer();
  await server.start();
  const bus = openKafkaBus([server.broker], { executionEvents: true, sendTimeoutMs: 1_000 });
  t.after(async () => {
    await bus.close();
    await server.dispose();
  });
  const scheduler = bus.scheduler();
  await scheduler.start();
  await scheduler.sendExecution(change());
  await server.kill();
  for (let count = 0; count < 3; count++) {
    const beginMs = performance.now();
    await assert.rejects(scheduler.sendExecution(change()), BusUnavailable);
    assert.ok(performance.now() - beginMs < 2_000);
  }
  await server.start();
  let isWritten = false;
  const tries = (async () => {
    while (!isWritten)
      await scheduler.sendExecution(change()).then(
        () => (isWritten = true),
        () => {},
      );
  })();
  await eventually(() => isWritten);
  await tries;
});
