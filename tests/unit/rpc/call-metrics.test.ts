import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ExecutionServiceService as Executions,
  GetExecutionRequest,
} from "../../../gen/jobmesh/v1/execution_service.ts";
import { LinkRequest, LinkResponse, PeerServiceService } from "../../../gen/jobmesh/v1/peer_service.ts";
import { JobmeshError } from "../../../services/common/error/jobmesh-error.ts";
import { RpcChannel } from "../../../services/common/rpc/rpc-channel.ts";
import { RpcServer } from "../../../services/common/rpc/rpc-server.ts";
import { silentLogger } from "../../../services/common/runtime/log.ts";
import { SystemClock } from "../../../services/common/runtime/system-clock.ts";
import { createMetrics } from "../../../services/common/telemetry/create-metrics.ts";

const clock = new SystemClock();

/** A method that takes many requests and answers once; the contract has none. */
const collect = { ...PeerServiceService.link, path: "/jobmesh.test.Collector/Collect", responseStream: false } as const;

test("calls of every kind are counted once, by method and status code", async () => {
  const metrics = await createMetrics({ serviceName: "s", instanceId: "i", version: "1" });
  const server = new RpcServer({ log: silentLogger, clock, metrics }, { listen: "127.0.0.1:0" });
  server.addService(Executions, {
    getExecution: () => {
      throw new JobmeshError("EXECUTION_NOT_FOUND");
    },
  });
  server.addService(PeerServiceService, { link: (stream) => stream.end() });
  server.addService(
    { collect },
    {
      collect: async (requests) => {
        let count = 0;
        for await (const _ of requests) count++;
        return LinkResponse.fromPartial({ hint: { kind: { $case: "stopExecutionId", value: String(count) } } });
      },
    },
  );
  const { address } = await server.start();
  const channel = new RpcChannel({ clock }, { target: address });
  await assert.rejects(channel.unary(Executions.getExecution, GetExecutionRequest.create({})));
  const closed = Promise.withResolvers<JobmeshError | null>();
  const link = channel.bidi(PeerServiceService.link);
  link.onMessage(() => {});
  link.onClosed(closed.resolve);
  assert.equal(await closed.promise, null);
  const answers: LinkResponse[] = [];
  const collected = Promise.withResolvers<JobmeshError | null>();
  const stream = channel.bidi(collect);
  stream.onMessage((answer) => answers.push(answer));
  stream.onClosed(collected.resolve);
  for (let count = 0; count < 3; count++) stream.send(LinkRequest.create({}));
  stream.end();
  assert.equal(await collected.promise, null);
  assert.deepEqual(answers[0]?.hint?.kind, { $case: "stopExecutionId", value: "3" });
  channel.close();
  await server.stop(1_000);
  const counted = (await metrics.render()).match(/^jobmesh_rpc_calls_total\{.*$/gm)?.sort();
  assert.deepEqual(counted, [
    'jobmesh_rpc_calls_total{method="jobmesh.test.Collector/Collect",code="OK"} 1',
    'jobmesh_rpc_calls_total{method="jobmesh.v1.ExecutionService/GetExecution",code="NOT_FOUND"} 1',
    'jobmesh_rpc_calls_total{method="jobmesh.v1.PeerService/Link",code="OK"} 1',
  ]);
  await metrics.stop();
});
