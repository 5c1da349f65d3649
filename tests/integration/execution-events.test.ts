/** Rule 34: execution.v1 of a real mesh, whose owner of it stands still, comes back, and is killed. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { ExecutionState } from "../../gen/jobmesh/v1/execution.ts";
import type { MeshClient } from "../../services/client/mesh-client.ts";
import { command } from "../../services/client/targets.ts";
import { isFinal } from "../../services/common/domain/execution.ts";
import { rendezvousOwner } from "../../services/common/domain/rendezvous.ts";
import { stateOfNumber } from "../../services/common/wire/execution.ts";
import { type Backends, startBackends } from "../support/backends.ts";
import { readExecutionTopic } from "../support/execution-topic.ts";
import { MeshProcesses } from "../support/mesh-process.ts";
import { meshOn } from "../support/real-mesh.ts";

const WAIT_MS = 60_000;
const NAMES = ["scheduler-1", "scheduler-2"] as const;
const SWITCHED_ON = { JOBMESH_EXECUTION_EVENTS: "true" };
let servers: Backends;

before(async () => {
  servers = await startBackends({ etcd: true, kafka: true, mysql: true });
});
after(() => servers.stop());

/** Submits work and waits for its end; every fifth fails. Answers how each ended. */
async function work(client: MeshClient, count: number): Promise<[string, ExecutionState][]> {
  const targets = Array.from({ length: count }, (_, at) => command(at % 5 === 0 ? "false" : "true"));
  const all = await Promise.all(targets.map((target) => client.submit({ target })));
  const ends = all.map(({ executionId }) => client.waitUntilEnded(executionId, AbortSignal.timeout(WAIT_MS)));
  return (await Promise.all(ends)).map(({ executionId, state }) => [executionId, state]);
}

test("rule 34: every final state stands in the topic, though its owner stood still for longer than its lease, and is killed", async (t) => {
  const { processes, mesh, backends } = await meshOn(t, servers);
  const ownerName = rendezvousOwner(NAMES, "task events") ?? assert.fail();
  const otherName = NAMES.find((name) => name !== ownerName) ?? assert.fail();
  const [owner, other] = await Promise.all([ownerName, otherName].map((name) => mesh.scheduler(name, SWITCHED_ON)));
  assert.ok(owner !== undefined && other !== undefined);
  await mesh.executor("executor-1", 20, { JOBMESH_SCHEDULER: other.address });
  const client = processes.client(other.address, { timeoutMs: WAIT_MS });
  const events = await readExecutionTopic(t, backends.kafkaBrokers, backends.cluster);
  const finals = new Map<string, ExecutionState[]>();
  const ended = new Map<string, ExecutionState>();
  let read = 0;
  const written = async (): Promise<void> => {
    const late = AbortSignal.timeout(WAIT_MS);
    const lacking = () => [...ended].filter(([id]) => !finals.has(id));
    while (lacking().length > 0) {
      assert.ok(!late.aborted, `${lacking().length} of ${ended.size} are not in the topic`);
      await new Promise((resolve) => setImmediate(resolve));
      for (; read < events.items.length; read += 1) {
        const { execution } = events.items[read]?.event ?? {};
        const state = stateOfNumber(execution?.state ?? 0);
        if (execution === undefined || state === null || !isFinal(state)) continue;
        finals.set(execution.executionId, [...(finals.get(execution.executionId) ?? []), execution.state]);
      }
    }
  };
  const round = async (): Promise<void> => {
    for (const [id, state] of await work(client, 50)) ended.set(id, state);
  };

  await round();
  await written();
  owner.process.signal("SIGSTOP");
  await round();
  await written();
  owner.process.signal("SIGCONT");
  await round();
  const killed = owner.process.end("SIGKILL");
  await round();
  await killed;
  await round();
  await written();
  for (const [id, state] of ended) for (const told of finals.get(id) ?? []) assert.equal(told, state, id);
  const between = events.items.filter(({ event }) => {
    const state = stateOfNumber(event.execution?.state ?? 0);
    return state !== null && !isFinal(state);
  });
  assert.ok(between.length > 0, "states in between are written, too");
  const doubled = [...finals.values()].filter(({ length }) => length > 1).length;
  console.log(`${ended.size} ended, all in the topic, ${doubled} more than once; ${between.length} in between`);
});

test("events without Kafka: the process does not start, and says which setting", async (t) => {
  const process = new MeshProcesses(t).start(["scheduler", "--execution-events", "--listen", "127.0.0.1:0"]);
  assert.equal((await process.over()).code, 1);
  assert.match(process.stderr, /JOBMESH_EXECUTION_EVENTS .*must be false, because JOBMESH_KAFKA_BROKERS is not set/);
});
