import assert from "node:assert/strict";
import { test } from "node:test";
import { HealthService, HealthCheckResponse_ServingStatus as Status } from "../../../gen/grpc/health/v1/health.ts";
import { PeerServiceService } from "../../../gen/jobmesh/v1/peer_service.ts";
import { Health } from "../../../services/common/rpc/health.ts";
import { RpcChannel } from "../../../services/common/rpc/rpc-channel.ts";
import { RpcServer } from "../../../services/common/rpc/rpc-server.ts";
import { serviceClient } from "../../../services/common/rpc/service-client.ts";
import { silentLogger } from "../../../services/common/runtime/log.ts";
import { SystemClock } from "../../../services/common/runtime/system-clock.ts";

async function setup() {
  const clock = new SystemClock();
  const server = new RpcServer({ log: silentLogger, clock }, { listen: "127.0.0.1:0" });
  server.addService(PeerServiceService, {});
  const health = new Health();
  health.addTo(server);
  const { address } = await server.start();
  const channel = new RpcChannel({ clock }, { target: address });
  return {
    server,
    health,
    client: serviceClient(HealthService, channel),
    async [Symbol.asyncDispose]() {
      channel.close();
      await server.stop(0);
    },
  };
}

test("the process and its services do not serve until it is said", async () => {
  await using mesh = await setup();
  assert.equal((await mesh.client.check({ service: "" })).status, Status.NOT_SERVING);
  mesh.health.setAll("SERVING");
  assert.equal((await mesh.client.check({ service: "" })).status, Status.SERVING);
  assert.equal((await mesh.client.check({ service: "jobmesh.v1.PeerService" })).status, Status.SERVING);
  const { statuses } = await mesh.client.list({});
  assert.deepEqual(Object.keys(statuses).sort(), ["", "jobmesh.v1.PeerService"]);
});

test("an unknown service is NOT_FOUND to check", async () => {
  await using mesh = await setup();
  await assert.rejects(mesh.client.check({ service: "no.Such" }), { code: "NOT_FOUND", reason: "SERVICE_NOT_FOUND" });
});

test("an unknown service of a long name is NOT_FOUND, and the connection stands for the calls beside it", async () => {
  await using mesh = await setup();
  const watch = mesh.client.watch({ service: "" });
  await watch.next();
  await assert.rejects(mesh.client.check({ service: "ü".repeat(70_000) }), { reason: "SERVICE_NOT_FOUND" });
  mesh.health.setAll("SERVING");
  assert.equal((await watch.next()).value?.status, Status.SERVING);
  await watch.return();
});

test("a watch tells each change, once, and ends when the server stops", async () => {
  await using mesh = await setup();
  const seen: number[] = [];
  const watch = mesh.client.watch({ service: "late.Service" });
  const next = async (): Promise<void> => void seen.push((await watch.next()).value?.status ?? -1);
  await next();
  mesh.health.setStatus("late.Service", "SERVING");
  await next();
  mesh.health.setStatus("late.Service", "SERVING");
  mesh.health.setStatus("late.Service", "NOT_SERVING");
  await next();
  assert.deepEqual(seen, [Status.SERVICE_UNKNOWN, Status.SERVING, Status.NOT_SERVING]);
  const stopped = mesh.server.stop(10_000);
  await assert.rejects(watch.next(), { reason: "SHUTTING_DOWN" });
  await stopped;
});
