import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ExecutionServiceService as Executions,
  GetExecutionRequest,
  GetExecutionResponse,
} from "../../../gen/jobmesh/v1/execution_service.ts";
import { PeerServiceService } from "../../../gen/jobmesh/v1/peer_service.ts";
import { JobmeshError } from "../../../services/common/error/jobmesh-error.ts";
import { RpcChannel } from "../../../services/common/rpc/rpc-channel.ts";
import { RpcServer } from "../../../services/common/rpc/rpc-server.ts";
import { silentLogger } from "../../../services/common/runtime/log.ts";
import { SystemClock } from "../../../services/common/runtime/system-clock.ts";
import { deferred, setup } from "./setup.ts";

const deps = { log: silentLogger, clock: new SystemClock() };
const request = GetExecutionRequest.create({});

test("a listener beyond loopback is refused before a socket opens", async () => {
  for (const listen of ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "example.org:7070"]) {
    const server = new RpcServer(deps, { listen });
    await assert.rejects(server.start(), { reason: "LISTENER_INSECURE" });
    await server.stop(0);
  }
});

test("with insecure it listens, and warns", async () => {
  const warnings: string[] = [];
  const log = { ...silentLogger, warn: (_: unknown, message: string) => void warnings.push(message) };
  const server = new RpcServer({ ...deps, log }, { listen: "0.0.0.0:0", insecure: true });
  await server.start();
  assert.equal(warnings.length, 1);
  await server.stop(0);
});

test("an address in use is one clear line", async () => {
  await using mesh = await setup({});
  const second = new RpcServer(deps, { listen: mesh.address });
  await assert.rejects(second.start(), (error) => {
    assert.ok(error instanceof JobmeshError);
    assert.equal(error.reason, "ADDRESS_IN_USE");
    assert.equal(error.message, `cannot listen on ${mesh.address}: the address is in use by another process`);
    return true;
  });
  await second.stop(0);
});

test("start and stop are idempotent", async () => {
  const server = new RpcServer(deps, { listen: "127.0.0.1:0" });
  assert.equal((await server.start()).address, (await server.start()).address);
  await Promise.all([server.stop(0), server.stop(0)]);
});

test("stop lets a running call end within its grace", async () => {
  const started = deferred();
  const release = deferred();
  await using mesh = await setup({
    execution: {
      getExecution: async (_, { stopping }) => {
        stopping.addEventListener("abort", () => release.resolve());
        started.resolve();
        await release.promise;
        return GetExecutionResponse.create({});
      },
    },
  });
  const call = mesh.channel.unary(Executions.getExecution, request);
  await started.promise;
  await mesh.server.stop(5_000);
  await call;
});

test("stop ends what outlives its grace with SHUTTING_DOWN", async () => {
  const opened = [deferred(), deferred()];
  await using mesh = await setup({
    execution: {
      getExecution: (_, { signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => reject(signal.reason));
          opened[0]?.resolve();
        }),
    },
    peer: { link: (stream) => stream.onMessage(() => opened[1]?.resolve()) },
  });
  const call = mesh.channel.unary(Executions.getExecution, request);
  const closed = deferred<JobmeshError | null>();
  const stream = mesh.channel.bidi(PeerServiceService.link);
  stream.onMessage(() => {});
  stream.onClosed(closed.resolve);
  stream.send({ hint: undefined });
  await Promise.all(opened.map(({ promise }) => promise));
  await Promise.all([
    mesh.server.stop(20),
    assert.rejects(call, { reason: "SHUTTING_DOWN", code: "UNAVAILABLE", retryable: true }),
    closed.promise.then((error) => assert.equal(error?.reason, "SHUTTING_DOWN")),
  ]);
});

test("a call to nobody fails at once as PEER_UNAVAILABLE, or waits when asked to", async () => {
  const server = new RpcServer(deps, { listen: "127.0.0.1:0" });
  const { address } = await server.start();
  await server.stop(0);
  const channel = new RpcChannel(deps, { target: address });
  await assert.rejects(channel.unary(Executions.getExecution, request), { reason: "PEER_UNAVAILABLE" });
  const waiting = channel.unary(Executions.getExecution, request, { waitForReady: true });
  const again = new RpcServer(deps, { listen: address });
  again.addService(Executions, { getExecution: () => GetExecutionResponse.create({}) });
  await again.start();
  await waiting;
  channel.close();
  await again.stop(0);
});

test("services are those that were added", () => {
  const server = new RpcServer(deps, { listen: "127.0.0.1:0" }).addService(Executions, {});
  assert.deepEqual(server.services, ["jobmesh.v1.ExecutionService"]);
  assert.throws(() => server.addService(Executions, {}), /added twice/);
});
