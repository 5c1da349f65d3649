/** One trace an execution over real Kafka: across both hops, in the processes of a scheduler and of an executor. */
import assert from "node:assert/strict";
import { resolve } from "node:path";
import { test } from "node:test";
import {
  RenderRequest,
  RenderResponse,
  ReportServiceService,
} from "../../examples/report/gen/acme/report/v1/report_service.ts";
import { ExecutionPolicy } from "../../gen/jobmesh/v1/job.ts";
import { handler } from "../../services/client/targets.ts";
import { startOtlpReceiver } from "../support/otlp-receiver.ts";
import { meshOnOwnServers } from "../support/real-mesh.ts";
import { attributeOf, traceTree } from "../support/trace-tree.ts";

const TRACE_EXECUTOR = resolve(import.meta.dirname, "../support/trace-executor.ts");

const EXPECTED = `
jobmesh.rpc.server [jobmesh-scheduler server]
  jobmesh.submit [jobmesh-scheduler internal]
    jobmesh.store [jobmesh-scheduler internal]
    jobmesh.dispatch [jobmesh-scheduler producer] #1 by kafka
      jobmesh.run [jobmesh-executor consumer] #1 FAILED by kafka
        jobmesh.produce [jobmesh-executor producer] #1 by kafka
          jobmesh.result [jobmesh-scheduler consumer] #1 FAILED
    jobmesh.dispatch [jobmesh-scheduler producer] #2 by kafka
      jobmesh.run [jobmesh-executor consumer] #2 SUCCEEDED by kafka
        jobmesh.produce [jobmesh-executor producer] #2 by kafka
          jobmesh.result [jobmesh-scheduler consumer] #2 SUCCEEDED`.trimStart();

test("over Kafka an execution is one trace, parent and child across both hops, retries included", async (t) => {
  const { processes, mesh } = await meshOnOwnServers(t);
  const receiver = await startOtlpReceiver();
  t.after(() => receiver[Symbol.asyncDispose]());
  const scheduler = await mesh.scheduler("scheduler-1", receiver.env);
  const executor = await mesh.executor("executor-1", 2, receiver.env, TRACE_EXECUTOR);
  const client = processes.client(scheduler.address, { timeoutMs: 30_000 });

  const { executionId } = await client.submit({
    target: handler(ReportServiceService.render, RenderRequest.fromPartial({ title: "2" })),
    policy: ExecutionPolicy.fromPartial({
      retry: { maxAttempts: 2, initialInterval: { seconds: 0n, nanos: 10_000_000 } },
    }),
  });
  const execution = await client.waitUntilEnded(executionId);
  assert.deepEqual(await executor.end("SIGTERM"), { code: 0, signal: null });
  assert.deepEqual(await scheduler.process.end("SIGTERM"), { code: 0, signal: null });

  assert.equal(traceTree(receiver.spans, execution.traceId), EXPECTED);
  const own = receiver.spans.filter(({ traceId }) => traceId === execution.traceId);
  const [produced] = own.filter(({ name }) => name === "jobmesh.produce");
  assert.ok(produced);
  assert.match(attributeOf(produced, "messaging.kafka.message.offset"), /^\d+$/);
  assert.equal(attributeOf(produced, "jobmesh.executor_id"), "executor-1");
  const [, second] = own.filter(({ name }) => name === "jobmesh.run");
  const told = RenderResponse.decode(execution.result).text;
  assert.equal(told, `00-${execution.traceId}-${second?.spanId}-01`, "a handler gets the span of its run");
});
