import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";
import {
  ExecutionServiceService as Executions,
  GetExecutionRequest,
} from "../../../gen/jobmesh/v1/execution_service.ts";
import { loadConfig } from "../../../services/common/config/load-config.ts";
import { JobmeshError } from "../../../services/common/error/jobmesh-error.ts";
import { RpcChannel } from "../../../services/common/rpc/rpc-channel.ts";
import { RpcServer } from "../../../services/common/rpc/rpc-server.ts";
import { silentLogger } from "../../../services/common/runtime/log.ts";
import { SystemClock } from "../../../services/common/runtime/system-clock.ts";
import { SystemRandom } from "../../../services/common/runtime/system-random.ts";
import { createTracing } from "../../../services/common/telemetry/create-tracing.ts";
import { parseTraceparent, traceIdOf } from "../../../services/common/telemetry/traceparent.ts";
import type { Tracing } from "../../../services/common/telemetry/tracing.ts";
import { startOtlpReceiver } from "../../support/otlp-receiver.ts";

const deps = { random: new SystemRandom(), clock: new SystemClock(), log: silentLogger };
const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

function start(env: Readonly<Record<string, string>>, serviceName = "jobmesh-test"): Promise<Tracing> {
  return createTracing(deps, loadConfig("client", { env, argv: [] }).config, {
    serviceName,
    instanceId: "i",
    version: "1",
  });
}

test("without an endpoint a span carries the trace on and nothing is exported", async () => {
  for (const env of [{}, { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:1", OTEL_TRACES_EXPORTER: "none" }]) {
    const tracing = await start(env);
    assert.equal(tracing.enabled, false);
    const continued = tracing.startSpan("jobmesh.run", { parent, tracestate: "a=b" });
    assert.equal(continued.traceparent, parent);
    assert.equal(continued.tracestate, "a=b");
    const fresh = tracing.startSpan("jobmesh.run", { parent: "not a traceparent", tracestate: "a=b" });
    assert.ok(parseTraceparent(fresh.traceparent));
    assert.equal(fresh.tracestate, null);
    fresh.set({ "jobmesh.attempt": 1 });
    fresh.end();
    await tracing.stop(0);
  }
});

test("without an endpoint nothing of the SDK is loaded", async () => {
  const script = `
    const { createTracing } = await import("./services/common/telemetry/create-tracing.ts");
    const { loadConfig } = await import("./services/common/config/load-config.ts");
    await createTracing({}, loadConfig("client", { env: {}, argv: [] }).config, {});
    const { createRequire } = await import("node:module");
    console.log(Object.keys(createRequire(import.meta.url).cache).filter((path) => path.includes("opentelemetry")).length);
  `;
  const cwd = new URL("../../..", import.meta.url);
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script], { cwd });
  assert.equal(stdout.trim(), "0");
});

test("spans reach a real OTLP receiver as one trace with their edges, times and attributes", async () => {
  await using receiver = await startOtlpReceiver();
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.endpoint, OTEL_EXPORTER_OTLP_PROTOCOL: "http/json" };
  const tracing = await start(env);
  assert.equal(tracing.enabled, true);
  const submit = tracing.startSpan("jobmesh.submit", { parent, tracestate: "a=b", kind: "server" });
  const run = tracing.startSpan("jobmesh.run", {
    parent: submit.traceparent,
    kind: "consumer",
    attributes: { "jobmesh.attempt": 2, "jobmesh.execution_id": "e" },
    links: [parent, "broken"],
    startUs: 1_700_000_000_000_001,
  });
  run.set({ "jobmesh.state": "FAILED" });
  run.end({ error: "exit 1", endUs: 1_700_000_000_500_001 });
  run.end();
  submit.end();
  await tracing.stop(5_000);
  assert.deepEqual(receiver.paths, ["/v1/traces"]);
  const [first, second] = receiver.spans;
  assert.deepEqual([first?.name, second?.name], ["jobmesh.run", "jobmesh.submit"]);
  assert.equal(second?.parentSpanId, "b7ad6b7169203331");
  assert.equal(second?.traceState, "a=b");
  assert.equal(first?.parentSpanId, second?.spanId);
  assert.equal(first?.traceId, second?.traceId);
  assert.equal(first?.traceId, traceIdOf(parent));
  assert.equal(first?.startTimeUnixNano, "1700000000000001000");
  assert.equal(first?.endTimeUnixNano, "1700000000500001000");
  assert.deepEqual(first?.status, { code: 2, message: "exit 1" });
  assert.equal(first?.links?.[0]?.spanId, "b7ad6b7169203331");
  assert.equal(first?.links?.length, 1);
  const attributes = Object.fromEntries(
    first?.attributes.map(({ key, value }) => [key, Object.values(value)[0]]) ?? [],
  );
  assert.deepEqual(attributes, { "jobmesh.attempt": 2, "jobmesh.execution_id": "e", "jobmesh.state": "FAILED" });
  assert.equal(first?.service, "jobmesh-test");
});

test("OTEL_SERVICE_NAME and the endpoint for traces alone go before the general ones", async () => {
  await using receiver = await startOtlpReceiver();
  const tracing = await start({
    OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:1",
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${receiver.endpoint}/custom`,
    OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: "http/json",
    OTEL_SERVICE_NAME: "mine",
  });
  tracing.startSpan("jobmesh.run", { parent: null }).end();
  await tracing.stop(5_000);
  assert.deepEqual(receiver.paths, ["/custom"]);
  assert.equal(receiver.spans[0]?.service, "mine");
});

test("a sampler that takes nothing still gives every span a trace", async () => {
  await using receiver = await startOtlpReceiver();
  const tracing = await start({
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.endpoint,
    OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
    OTEL_TRACES_SAMPLER: "parentbased_always_off",
  });
  const root = tracing.startSpan("jobmesh.run", { parent: null });
  assert.equal(root.recording, false);
  assert.equal(parseTraceparent(root.traceparent)?.sampled, false);
  const followed = tracing.startSpan("jobmesh.run", { parent });
  assert.equal(followed.recording, true);
  root.end();
  followed.end();
  await tracing.stop(5_000);
  assert.equal(receiver.spans.length, 1);
});

test("a receiver that is away holds up nobody and is named in the log", async () => {
  const warned = Promise.withResolvers<void>();
  const log = { ...silentLogger, warn: () => warned.resolve() };
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:1", OTEL_BSP_SCHEDULE_DELAY: "10" };
  const config = loadConfig("client", { env, argv: [] }).config;
  const tracing = await createTracing({ ...deps, log }, config, { serviceName: "s", instanceId: "i", version: "1" });
  tracing.startSpan("jobmesh.run", { parent: null }).end();
  await tracing.stop(100);
  await warned.promise;
});

test("a call through channel and server is one trace: client span, server span, then what the handler starts", async () => {
  await using receiver = await startOtlpReceiver();
  const tracing = await start({
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.endpoint,
    OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
  });
  const server = new RpcServer({ ...deps, tracing }, { listen: "127.0.0.1:0" });
  server.addService(Executions, {
    getExecution: (_, context) => {
      tracing.startSpan("jobmesh.submit", { parent: context.traceparent }).end();
      throw new JobmeshError("EXECUTION_NOT_FOUND");
    },
  });
  const { address } = await server.start();
  const channel = new RpcChannel({ ...deps, tracing }, { target: address });
  const call = channel.unary(Executions.getExecution, GetExecutionRequest.create({}), { traceparent: parent });
  await assert.rejects(call, { reason: "EXECUTION_NOT_FOUND" });
  channel.close();
  await server.stop(0);
  await tracing.stop(5_000);
  const byName = new Map(receiver.spans.map((span) => [span.name, span]));
  const [client, answered, submit] = ["jobmesh.rpc.client", "jobmesh.rpc.server", "jobmesh.submit"].map((name) =>
    byName.get(name),
  );
  assert.equal(client?.parentSpanId, "b7ad6b7169203331");
  assert.equal(answered?.parentSpanId, client?.spanId);
  assert.equal(submit?.parentSpanId, answered?.spanId);
  assert.deepEqual(answered?.status, { code: 2, message: "there is no such execution" });
});
