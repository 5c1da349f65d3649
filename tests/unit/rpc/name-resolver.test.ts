import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ExecutionServiceService as Executions,
  GetExecutionRequest,
  GetExecutionResponse,
} from "../../../gen/jobmesh/v1/execution_service.ts";
import { type HostPort, parseHostPort } from "../../../services/common/config/listen-address.ts";
import { type NameSource, registerNameSource } from "../../../services/common/rpc/name-resolver.ts";
import { RpcChannel } from "../../../services/common/rpc/rpc-channel.ts";
import { RpcServer } from "../../../services/common/rpc/rpc-server.ts";
import { silentLogger } from "../../../services/common/runtime/log.ts";
import { SystemClock } from "../../../services/common/runtime/system-clock.ts";

const clock = new SystemClock();
const request = GetExecutionRequest.create({});

class FakeSource implements NameSource {
  readonly watched: string[] = [];
  #addresses: HostPort[] | null = null;
  readonly #watches = new Set<{ change: (addresses: readonly HostPort[]) => void; fail: (error: Error) => void }>();

  get watchCount(): number {
    return this.#watches.size;
  }

  watch(name: string, change: (addresses: readonly HostPort[]) => void, fail: (error: Error) => void): () => void {
    const watch = { change, fail };
    this.watched.push(name);
    this.#watches.add(watch);
    process.nextTick(() => {
      if (this.#addresses !== null && this.#watches.has(watch)) change(this.#addresses);
    });
    return () => this.#watches.delete(watch);
  }

  set(...addresses: string[]): void {
    this.#addresses = addresses.map((address) => parseHostPort(address) ?? assert.fail());
    for (const { change } of this.#watches) change(this.#addresses);
  }

  fail(error: Error): void {
    for (const { fail } of this.#watches) fail(error);
  }
}

async function startServer(name: string) {
  const server = new RpcServer({ log: silentLogger, clock }, { listen: "127.0.0.1:0" });
  server.addService(Executions, {
    getExecution: () => GetExecutionResponse.fromPartial({ execution: { executionId: name } }),
  });
  const { address } = await server.start();
  return { server, address };
}

async function setup() {
  const source = new FakeSource();
  const unregister = registerNameSource(source, "test");
  const [one, two] = await Promise.all([startServer("one"), startServer("two")]);
  const channel = new RpcChannel({ clock }, { target: "etcd://test/scheduler" });
  const count = async (calls: number): Promise<Record<string, number>> => {
    const counts: Record<string, number> = { one: 0, two: 0 };
    for (let call = 0; call < calls; call++) {
      const { execution } = await channel.unary(Executions.getExecution, request, { waitForReady: true });
      const name = execution?.executionId ?? "";
      counts[name] = (counts[name] ?? 0) + 1;
    }
    return counts;
  };
  return {
    source,
    one,
    two,
    channel,
    count,
    async [Symbol.asyncDispose]() {
      channel.close();
      unregister();
      await Promise.all([one.server.stop(0), two.server.stop(0)]);
    },
  };
}

test("calls go round over the addresses of a name; one that left gets none, and is taken back", async () => {
  await using mesh = await setup();
  const { source, one, two, count } = mesh;
  source.set(one.address, two.address);
  await count(1);
  await settled(async () => (await count(2)).one === 1);
  assert.deepEqual(await count(20), { one: 10, two: 10 });
  source.set(two.address);
  await settled(async () => (await count(2)).two === 2);
  assert.deepEqual(await count(10), { one: 0, two: 10 });
  source.set(two.address, one.address);
  await settled(async () => (await count(2)).one === 1);
  assert.deepEqual(await count(20), { one: 10, two: 10 });
  assert.deepEqual(source.watched, ["scheduler"]);
});

test("a call that waits is sent when the first address comes", async () => {
  await using mesh = await setup();
  const counting = mesh.count(1);
  mesh.source.set();
  mesh.source.set(mesh.one.address);
  assert.deepEqual(await counting, { one: 1, two: 0 });
});

test("an empty list and a failing source keep the connections that stand", async () => {
  await using mesh = await setup();
  mesh.source.set(mesh.one.address);
  await mesh.count(1);
  mesh.source.set();
  assert.deepEqual(await mesh.count(3), { one: 3, two: 0 });
  mesh.source.fail(new Error("etcd is away"));
  assert.deepEqual(await mesh.count(3), { one: 3, two: 0 });
});

test("without any address a call says which name has none", async () => {
  await using mesh = await setup();
  const call = mesh.channel.unary(Executions.getExecution, request);
  process.nextTick(() => mesh.source.set());
  await assert.rejects(call, { reason: "PEER_UNAVAILABLE", message: /etcd:\/\/\/scheduler: nobody is registered/ });
});

test("closing the channel ends the watch", async () => {
  const mesh = await setup();
  mesh.source.set(mesh.one.address);
  await mesh.count(1);
  assert.equal(mesh.source.watchCount, 1);
  await mesh[Symbol.asyncDispose]();
  assert.equal(mesh.source.watchCount, 0);
});

test("without a registry a call says so", async () => {
  const channel = new RpcChannel({ clock }, { target: "etcd://nowhere/scheduler" });
  const call = channel.unary(Executions.getExecution, request);
  await assert.rejects(call, { reason: "PEER_UNAVAILABLE", message: /no registry is set up/ });
  channel.close();
});

/** Calls until the connections stand as they should; each round is a real call, so it ends. */
async function settled(isSettled: () => Promise<boolean>): Promise<void> {
  for (let round = 0; round < 1_000; round++) if (await isSettled()) return;
  assert.fail("the connections did not settle");
}
