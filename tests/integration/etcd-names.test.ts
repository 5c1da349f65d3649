import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  ExecutionServiceService as Executions,
  GetExecutionRequest,
  GetExecutionResponse,
} from "../../gen/jobmesh/v1/execution_service.ts";
import type { Lease } from "../../services/common/port/registry.ts";
import { registerNameSource } from "../../services/common/rpc/name-resolver.ts";
import { registryNames } from "../../services/common/rpc/registry-names.ts";
import { RpcChannel } from "../../services/common/rpc/rpc-channel.ts";
import { RpcServer } from "../../services/common/rpc/rpc-server.ts";
import { silentLogger } from "../../services/common/runtime/log.ts";
import { SystemClock } from "../../services/common/runtime/system-clock.ts";
import { type Backends, startBackends } from "../support/backends.ts";
import { EtcdMesh, reached } from "../support/etcd.ts";
import { MemberLog } from "../support/registry.ts";
import { setup as grpcTargets } from "../unit/executor-grpc/setup.ts";

const TTL_MS = 3_000;
const clock = new SystemClock();
const request = GetExecutionRequest.create({});
let backends: Backends;

before(async () => {
  backends = await startBackends({ etcd: true });
});
after(() => backends.stop());

type Scheduler = { readonly server: RpcServer; readonly lease: Lease };

async function startScheduler(mesh: EtcdMesh, instance: string): Promise<Scheduler> {
  const server = new RpcServer({ log: silentLogger, clock }, { listen: "127.0.0.1:0" });
  server.addService(Executions, {
    getExecution: () => GetExecutionResponse.fromPartial({ execution: { executionId: instance } }),
  });
  const { address } = await server.start();
  const { registry } = await mesh.open();
  const lease = await registry.register({ name: "scheduler", instance, address, metadata: {} }, TTL_MS);
  return { server, lease };
}

async function setup() {
  const mesh = new EtcdMesh(...backends.etcdEndpoints);
  const { registry } = await mesh.open();
  const unregister = registerNameSource(registryNames(registry), mesh.cluster);
  const channel = new RpcChannel({ clock }, { target: `etcd://${mesh.cluster}/scheduler` });
  const servers: RpcServer[] = [];
  const answered = new Map<string, number>();
  return {
    mesh,
    registry,
    answered,
    async start(instance: string): Promise<Scheduler> {
      const scheduler = await startScheduler(mesh, instance);
      servers.push(scheduler.server);
      return scheduler;
    },
    async call(): Promise<string> {
      const { execution } = await channel.unary(Executions.getExecution, request, { waitForReady: true });
      const name = execution?.executionId ?? "";
      answered.set(name, (answered.get(name) ?? 0) + 1);
      return name;
    },
    async [Symbol.asyncDispose]() {
      channel.close();
      unregister();
      await Promise.all(servers.map((server) => server.stop(0)));
      await mesh[Symbol.asyncDispose]();
    },
  };
}

test("calls of a name go round the schedulers in etcd; one leaves and another comes without an error", async (t) => {
  await using scene = await setup();
  const waiting = scene.call();
  const one = await scene.start("one");
  assert.equal(await waiting, "one");
  await scene.start("two");
  let calls = 0;
  let isOver = false;
  const caller = async (): Promise<void> => {
    for (; !isOver; calls += 1) await scene.call();
  };
  const callers = Promise.all(Array.from({ length: 4 }, caller));
  const both = (): boolean => scene.answered.has("two");
  await reached("calls at the second", 5_000, both);
  scene.answered.clear();
  await reached(
    "calls at both",
    5_000,
    () => [...scene.answered.values()].reduce((sum, count) => sum + count, 0) > 200,
  );
  const [ones = 0, twos = 0] = [scene.answered.get("one"), scene.answered.get("two")];
  assert.ok(Math.abs(ones - twos) <= 8, `${ones} and ${twos} calls`);

  const log = new MemberLog(scene.registry, "scheduler");
  await one.lease.revoke();
  await log.untilThere("two");
  await one.server.stop(1_000);
  scene.answered.clear();
  await reached("calls at the second", 5_000, () => (scene.answered.get("two") ?? 0) > 100);
  assert.equal(scene.answered.has("one"), false);

  const startMs = clock.monotonicMs();
  await scene.start("three");
  await reached("calls at the third", 5_000, () => scene.answered.has("three"));
  t.diagnostic(`a new scheduler had its first call ${Math.round(clock.monotonicMs() - startMs)} ms after its start`);
  isOver = true;
  await callers;
  t.diagnostic(`${calls} calls, none failed`);
});

test("a gRPC target reaches a live server of its name in etcd", async (t) => {
  await using scene = await setup();
  t.after(registerNameSource(registryNames(scene.registry)));
  const { outcome } = grpcTargets(t);
  await scene.start("one");
  const target = { address: "etcd:///scheduler", method: "jobmesh.v1.ExecutionService/GetExecution" };
  let ended = await outcome(target);
  // Its watch may not have seen the key yet: that is UNAVAILABLE, as for any server that is not there.
  while (ended.kind === "failed" && ended.failure.reason === "grpc:UNAVAILABLE") ended = await outcome(target);
  assert.ok(ended.kind === "succeeded", JSON.stringify(ended));
  assert.equal(GetExecutionResponse.decode(ended.result).execution?.executionId, "one");
});

test("a name whose keys are all gone keeps its last schedulers", async () => {
  await using scene = await setup();
  const one = await scene.start("one");
  assert.equal(await scene.call(), "one");
  const log = new MemberLog(scene.registry, "scheduler");
  await log.untilThere("one");
  await one.lease.revoke();
  await log.untilThere();
  for (let round = 0; round < 20; round += 1) assert.equal(await scene.call(), "one");
});
