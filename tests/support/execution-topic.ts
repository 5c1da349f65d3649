import type { TestContext } from "node:test";
import { Kafka, logLevel } from "kafkajs";
import { ExecutionEvent } from "../../gen/jobmesh/v1/event.ts";
import { testCluster } from "./backends.ts";
import { Gathering } from "./bus.ts";

/** A record of execution.v1, as any consumer reads it. */
export type ReadEvent = {
  readonly key: string;
  readonly partition: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly event: ExecutionEvent;
};

/** Reads the execution topic of a cluster from its beginning, until the test ends. */
export async function readExecutionTopic(
  t: TestContext,
  brokers: readonly string[],
  cluster: string,
): Promise<Gathering<ReadEvent>> {
  const kafka = new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING });
  const consumer = kafka.consumer({ groupId: testCluster(), maxWaitTimeInMs: 100 });
  const events = new Gathering<ReadEvent>();
  t.after(() => consumer.disconnect());
  await consumer.connect();
  await consumer.subscribe({ topic: `${cluster}.execution.v1`, fromBeginning: true });
  await consumer.run({
    eachMessage: async ({ partition, message }) => {
      const headers = Object.entries(message.headers ?? {}).map(([name, value]) => [name, String(value)]);
      events.add({
        key: String(message.key),
        partition,
        headers: Object.fromEntries(headers) as Record<string, string>,
        event: ExecutionEvent.decode(message.value ?? Buffer.alloc(0)),
      });
    },
  });
  return events;
}
