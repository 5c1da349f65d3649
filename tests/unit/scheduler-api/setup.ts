import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { ExecutionServiceService } from "../../../gen/jobmesh/v1/execution_service.ts";
import type { Target } from "../../../gen/jobmesh/v1/job.ts";
import { JobServiceService } from "../../../gen/jobmesh/v1/job_service.ts";
import { MeshServiceService } from "../../../gen/jobmesh/v1/mesh_service.ts";
import { MeshClient } from "../../../services/client/mesh-client.ts";
import { MemoryRegistry } from "../../../services/common/adapter/memory/registry.ts";
import { JobmeshError } from "../../../services/common/error/jobmesh-error.ts";
import { RpcServer, type RpcServerConfig } from "../../../services/common/rpc/rpc-server.ts";
import { silentLogger } from "../../../services/common/runtime/log.ts";
import { SystemClock } from "../../../services/common/runtime/system-clock.ts";
import { SystemRandom } from "../../../services/common/runtime/system-random.ts";
import { propagatingTracing } from "../../../services/common/telemetry/create-tracing.ts";
import { MethodTypes } from "../../../services/common/wire/json-message.ts";
import { EndedWaits } from "../../../services/scheduler/api/ended-waits.ts";
import { executionHandlers } from "../../../services/scheduler/api/execution-service.ts";
import { HeldWaits } from "../../../services/scheduler/api/held-waits.ts";
import { JobKeeper } from "../../../services/scheduler/api/job-keeper.ts";
import { jobHandlers } from "../../../services/scheduler/api/job-service.ts";
import { KnownTypes } from "../../../services/scheduler/api/known-types.ts";
import { meshHandlers } from "../../../services/scheduler/api/mesh-service.ts";
import { payloadCheck } from "../../../services/scheduler/api/payload-check.ts";
import { RunMethods } from "../../../services/scheduler/api/run-methods.ts";
import { SubmissionReader } from "../../../services/scheduler/api/submission-reader.ts";
import { type SubmissionSink, Submissions } from "../../../services/scheduler/api/submissions.ts";
import { explainedPage } from "../../../services/scheduler/api/waiting-reason.ts";
import { ExecutionFeed, type FeedLimits } from "../../../services/scheduler/feed/execution-feed.ts";
import type { SchedulerView } from "../../../services/scheduler/scheduler-views.ts";
import { type CoreOptions, schedulerCore } from "../../support/scheduler-core.ts";
import { testCalls } from "./calls.ts";

/** How an API under test is made. */
export type ApiOptions = CoreOptions & {
  /** Stands between the API and its submitter. */
  readonly sink?: (submitter: SubmissionSink) => SubmissionSink;
  readonly schedulers?: readonly SchedulerView[];
  readonly server?: Partial<RpcServerConfig>;
  readonly maxWaiters?: number;
  readonly maxLogReaders?: number;
  readonly feed?: FeedLimits;
};

/** The API of one scheduler: real handlers, served over a real connection, on a real store in memory; time moves by hand. */
export type TestApi = Awaited<ReturnType<typeof testApi>>;

/** Serves the API and connects a client; both go with the test. */
export async function testApi(test: TestContext, options: ApiOptions = {}) {
  const core = await schedulerCore(test, options);
  const { store, hints, clock } = core;
  const random = new SystemRandom();
  const log = options.log ?? silentLogger;
  const meshClock = { nowUs: () => clock.wallUs(), uncertaintyUs: () => 0 };
  const types = new KnownTypes(store.descriptors, clock);
  const checkPayload = payloadCheck(types, new RunMethods(store.executors, clock));
  const waits = new EndedWaits({ store, hints, clock, log: silentLogger }, options.maxWaiters);
  const feed = new ExecutionFeed({ store, hints, clock, log: silentLogger, explain: explainedPage }, options.feed);
  const submissions = new Submissions({
    reader: new SubmissionReader({ store, meshClock, random, checkPayload, log }),
    sink: options.sink?.(core.submitter) ?? core.submitter,
    store,
    tracing: propagatingTracing(random),
    log,
  });
  const held = new HeldWaits({ store, hints, clock }, 2_000);
  const keeper = new JobKeeper({ store, hints, held, meshClock, random, checkPayload, log });
  const { maxLogReaders } = options;
  const logs = { store, hints, clock, ...(maxLogReaders === undefined ? {} : { maxReaders: maxLogReaders }) };
  const healthy = () => ({ healthy: core.outage.names === null, message: "" });
  const server = new RpcServer(
    { log: silentLogger, clock: new SystemClock() },
    { listen: "127.0.0.1:0", ...options.server },
  )
    .addService(JobServiceService, jobHandlers({ keeper, submissions, meshClock }))
    .addService(
      ExecutionServiceService,
      executionHandlers({ store, hints, held, waits, feed, submissions, logs, types }),
    )
    .addService(
      MeshServiceService,
      meshHandlers({
        store,
        hints,
        registry: new MemoryRegistry(clock),
        schedulers: { all: () => options.schedulers ?? [] },
        backends: [{ role: "store", kind: "sqlite", health: healthy }],
        meshClock,
        types,
        clock: new SystemClock(),
        suspectAfterMs: 3_000,
      }),
    );
  const { address } = await server.start();
  const client = new MeshClient({ target: address });
  core.base.stops.push(async () => {
    client.close();
    await waits.stop();
    await server.stop(0);
    await feed.stop();
  });
  return {
    ...core,
    waits,
    feed,
    keeper,
    server,
    address,
    client,
    jobs: client.jobs,
    executions: client.executions,
    mesh: client.mesh,
    ...testCalls(client),
  };
}

/** The error that a call ends with. */
export async function errorOf(call: Promise<unknown>): Promise<JobmeshError> {
  const error = await call.then(
    () => assert.fail("the call succeeded"),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof JobmeshError)) throw error;
  return error;
}

/** What a call was refused for, by field. */
export async function faultsOf(call: Promise<unknown>): Promise<Readonly<Record<string, string>>> {
  const error = await errorOf(call);
  assert.equal(error.code, "INVALID_ARGUMENT", error.message);
  for (const { field, description } of error.fieldViolations.slice(0, 3)) {
    assert.ok(error.message.includes(`${field}: ${description}`.slice(0, 200)), "the message says it, too");
  }
  return Object.fromEntries(error.fieldViolations.map(({ field, description }) => [field, description]));
}

/** The descriptors of examples/report. */
export function reportSet(): Buffer {
  return readFileSync(join(import.meta.dirname, "../../../examples/report/gen/descriptors.binpb"));
}

/** Stores the descriptors of examples/report, as an executor's Hello would. */
export async function registerReport(api: Pick<TestApi, "store">): Promise<string> {
  const bytes = reportSet();
  const methods = new MethodTypes(bytes).methods();
  await api.store.descriptors.put({ hash: "0".repeat(64), bytes, methods });
  assert.deepEqual(methods, [REPORT]);
  return REPORT;
}

/** The handler of examples/report. */
export const REPORT = "acme.report.v1.ReportService/Render";

/** A handler target with its request as JSON. */
export function jsonHandler(method: string, value: unknown): Target {
  return { kind: { $case: "handler", value: { method, payload: { $case: "requestJson", value } } } };
}

/** A handler target with its request as bytes. */
export function bytesHandler(method: string, value: Uint8Array): Target {
  const request = Buffer.from(value);
  return { kind: { $case: "handler", value: { method, payload: { $case: "request", value: request } } } };
}

/** Seconds and milliseconds as a Duration. */
export function duration(ms: number): { seconds: bigint; nanos: number } {
  const seconds = Math.trunc(ms / 1000);
  return { seconds: BigInt(seconds), nanos: Math.round((ms - seconds * 1000) * 1e6) };
}
