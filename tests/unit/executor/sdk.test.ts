import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Target } from "../../../gen/jobmesh/v1/job.ts";
import { GetJobResponse, JobServiceDefinition, JobServiceService } from "../../../gen/jobmesh/v1/job_service.ts";
import type { AttemptResult } from "../../../services/common/domain/attempt.ts";
import type { DispatchOrder } from "../../../services/common/domain/dispatch.ts";
import type { ExecutionId, Fence, SchedulerId } from "../../../services/common/domain/identifier.ts";
import type { HelloMessage, SessionDown, SessionUp } from "../../../services/common/domain/session.ts";
import type { DuplexStream } from "../../../services/common/rpc/contract.ts";
import { RpcServer } from "../../../services/common/rpc/rpc-server.ts";
import { silentLogger } from "../../../services/common/runtime/log.ts";
import { SystemClock } from "../../../services/common/runtime/system-clock.ts";
import { type ListenerSecurity, OPEN_LISTENER } from "../../../services/common/security/link-security.ts";
import { Secret } from "../../../services/common/security/secret.ts";
import { MethodTypes } from "../../../services/common/wire/json-message.ts";
import { sessionService } from "../../../services/common/wire/session-method.ts";
import { createExecutor, type ExecutorOptions, genericMethod, HandlerError } from "../../../services/executor/index.ts";
import { TestAuthority } from "../../support/certificates.ts";

const image = readFileSync(new URL("../../../gen/image.binpb", import.meta.url));
const METHOD = "jobmesh.v1.JobService/GetJob";
const clock = new SystemClock();

/** A scheduler's gRPC end that welcomes, acknowledges and stores; `next` resolves with what it hears. */
class GrpcHome {
  readonly heard: SessionUp[] = [];
  address = "";
  #stream: DuplexStream<SessionUp, SessionDown> | null = null;
  readonly #waiting: { match(message: SessionUp): boolean; resolve(message: SessionUp): void }[] = [];

  async start(t: TestContext, security: ListenerSecurity = OPEN_LISTENER): Promise<void> {
    const server = new RpcServer({ log: silentLogger, clock }, { listen: "127.0.0.1:0", security });
    server.addService(sessionService, { session: (stream) => this.#serve(stream) });
    ({ address: this.address } = await server.start());
    t.after(() => server.stop(0));
  }

  say(message: SessionDown): void {
    this.#stream?.send(message);
  }

  /** The first message of a kind, also one that has come. */
  next<Kind extends SessionUp["kind"]>(kind: Kind): Promise<Extract<SessionUp, { kind: Kind }>> {
    const match = (message: SessionUp): message is Extract<SessionUp, { kind: Kind }> => message.kind === kind;
    const come = this.heard.find(match);
    if (come !== undefined) return Promise.resolve(come);
    return new Promise((resolve) => {
      this.#waiting.push({ match, resolve: (message) => match(message) && resolve(message) });
    });
  }

  #serve(stream: DuplexStream<SessionUp, SessionDown>): void {
    this.#stream = stream;
    stream.onEnd(() => stream.end());
    stream.onMessage((message) => {
      this.heard.push(message);
      this.#answer(message);
      for (const waiting of this.#waiting) if (waiting.match(message)) waiting.resolve(message);
    });
  }

  #answer(message: SessionUp): void {
    if (message.kind === "hello") {
      const hashes = message.profile.capabilities.flatMap((each) =>
        "descriptorHash" in each ? each.descriptorHash : [],
      );
      const terms = { heartbeatIntervalMs: 1_000, leaseTtlMs: 45_000, reportDelayMs: 250 };
      const schedulerId = "scheduler-1" as SchedulerId;
      this.say({ kind: "welcome", schedulerId, ...terms, missingDescriptorHashes: hashes });
    } else if (message.kind === "heartbeat") {
      const { sequence } = message;
      this.say({ kind: "heartbeat_ack", sequence, timeUs: clock.wallUs(), stored: [], heardSequence: sequence });
    } else if (message.kind === "result") {
      this.say({ kind: "result_stored", sequence: message.sequence });
    } else if (message.kind === "output") {
      this.say({ kind: "output_ack", key: message.piece.key, sequence: message.piece.sequence });
    }
  }
}

function orderFor(hello: HelloMessage, target: Parameters<typeof Target.encode>[0]): DispatchOrder {
  return {
    key: { executionId: "00000000-0000-7000-8000-000000000001" as ExecutionId, attempt: 1, fence: 7n as Fence },
    executorId: hello.profile.executorId,
    incarnation: hello.profile.incarnation,
    namespace: "default",
    jobId: "",
    target: { kind: "handler", method: METHOD, summary: METHOD, bytes: Target.encode(target).finish() },
    timeoutMs: 10_000,
    holdUntilUs: null,
    startDeadlineUs: null,
    scheduledUs: clock.wallUs(),
    maxAttempts: 1,
    labels: {},
    sessionNumber: hello.sessionNumber,
    dispatchUs: clock.wallUs(),
    traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    tracestate: "",
  };
}

async function setup(t: TestContext, options: ExecutorOptions = {}, security?: ListenerSecurity) {
  const home = new GrpcHome();
  const dataDir = await mkdtemp(join(tmpdir(), "jobmesh-sdk-"));
  t.after(() => rm(dataDir, { recursive: true, force: true }));
  await home.start(t, security);
  const app = createExecutor({
    scheduler: home.address,
    executorId: "sdk-1",
    slots: 4,
    dataDir,
    descriptors: image,
    log: silentLogger,
    env: {},
    ...options,
  });
  t.after(() => app.stop());
  return { home, app };
}

async function outcomeOf(home: GrpcHome, target: Parameters<typeof Target.encode>[0]): Promise<AttemptResult> {
  home.say({ kind: "dispatch", order: orderFor(await home.next("hello"), target) });
  return (await home.next("result")).result;
}

test("a typed handler answers a request given in bytes, over gRPC", async (t) => {
  const { home, app } = await setup(t);
  app.handle(JobServiceService.getJob, async (request, context) => {
    context.log.warn("looking", { jobId: request.jobId });
    return { job: undefined };
  });
  await app.start();
  const request = Buffer.from(JobServiceService.getJob.requestSerialize({ namespace: "", jobId: "a" }));
  const value = { method: METHOD, payload: { $case: "request" as const, value: request } };
  const result = await outcomeOf(home, { kind: { $case: "handler", value } });
  assert.ok(result.outcome.kind === "succeeded");
  assert.deepEqual(GetJobResponse.decode(result.outcome.result), { job: undefined });
  assert.equal(result.outputPieceCount, 1);
  const { piece } = await home.next("output");
  assert.equal(Buffer.from(piece.data).toString(), "looking");
  assert.deepEqual([piece.stream, piece.level, piece.fieldsJson], ["HANDLER", "WARN", '{"jobId":"a"}']);
  assert.equal(piece.spanId, "b7ad6b7169203331");
});

test("a request given as JSON is encoded by the handler's descriptors", async (t) => {
  const { home, app } = await setup(t);
  app.handle(genericMethod(JobServiceDefinition, "getJob"), (request) => {
    throw new HandlerError("SEEN", request.jobId);
  });
  await app.start();
  const value = { method: METHOD, payload: { $case: "requestJson" as const, value: { jobId: "from-json" } } };
  const { outcome } = await outcomeOf(home, { kind: { $case: "handler", value } });
  assert.ok(outcome.kind === "failed");
  assert.deepEqual(outcome.failure, { code: 2, message: "from-json", reason: "SEEN" });
});

test("JSON that does not fit fails with the field's name, and is not tried again", async (t) => {
  const { home, app } = await setup(t);
  app.handle(JobServiceService.getJob, () => ({ job: undefined }));
  await app.start();
  const value = { method: METHOD, payload: { $case: "requestJson" as const, value: { jobId: 5 } } };
  const { outcome } = await outcomeOf(home, { kind: { $case: "handler", value } });
  assert.ok(outcome.kind === "failed");
  assert.match(outcome.failure.message, /job_id/);
  assert.deepEqual([outcome.failure.reason, outcome.nonRetryable], ["REQUEST_INVALID", true]);
});

test("descriptors that Welcome asks for are sent: the method's file and what it imports, no more", async (t) => {
  const { home, app } = await setup(t);
  app.handle(JobServiceService.getJob, () => ({ job: undefined }), { slots: 2 });
  await app.start();
  const { descriptorSets } = await home.next("descriptors");
  assert.equal(descriptorSets.length, 1);
  const [bytes] = descriptorSets;
  assert.ok(bytes !== undefined && bytes.length < image.length);
  const types = new MethodTypes(bytes);
  assert.ok(types.has(METHOD));
  assert.ok(!types.has("jobmesh.v1.MeshService/GetMeshStatus"));
  const { profile } = await home.next("hello");
  assert.deepEqual(
    profile.capabilities.map((each) => each.kind === "handler" && each.slots),
    [2],
  );
});

test("a program of handlers runs those alone, and HTTP requests where it is told to", async (t) => {
  for (const [options, kinds] of [
    [{}, ["handler"]],
    [{ allowHttp: true }, ["handler", "http"]],
    [{ env: { JOBMESH_ALLOW_HTTP: "true" } }, ["handler", "http"]],
    [{ allowHttp: false, env: { JOBMESH_ALLOW_HTTP: "true" } }, ["handler"]],
    [{ env: { JOBMESH_ALLOW_HTTP: "" } }, ["handler"]],
  ] as const) {
    const { home, app } = await setup(t, options);
    app.handle(JobServiceService.getJob, () => ({ job: undefined }));
    await app.start();
    const { profile } = await home.next("hello");
    assert.deepEqual(
      profile.capabilities.map(({ kind }) => kind),
      kinds,
    );
    await app.stop();
  }
});

test("an executor joins over mTLS with its token, and is refused where its settings contradict each other", async (t) => {
  const authority = new TestAuthority(t);
  const { cert, key, ...files } = authority.issue();
  const token = "a-token-of-executors";
  const tls = { ca: authority.ca, cert, key };
  const { home, app } = await setup(
    t,
    { tls, token },
    { tls: { identity: { cert, key: new Secret(key) }, clientCa: authority.ca }, tokens: [new Secret(token)] },
  );
  app.handle(JobServiceService.getJob, () => ({ job: undefined }));
  await app.start();
  assert.equal((await home.next("hello")).profile.executorId, "sdk-1");

  const env = { JOBMESH_TLS_CERT: files.certPath, JOBMESH_TLS_KEY: files.keyPath, JOBMESH_TLS_CA: authority.caPath };
  const required = { ...env, JOBMESH_TLS_CLIENT_CERTS: "required" };
  const loose = createExecutor({ env: required, tls: { cert, key }, log: silentLogger });
  await assert.rejects(loose.start(), { reason: "CONFIG_INVALID", message: /JOBMESH_TLS_CA .* must be a file/ });
  const dataDir = await mkdtemp(join(tmpdir(), "jobmesh-sdk-"));
  t.after(() => rm(dataDir, { recursive: true, force: true }));
  const bare = createExecutor({ scheduler: "192.0.2.1:7070", token, env: {}, dataDir, log: silentLogger });
  await assert.rejects(bare.start(), { reason: "CONFIG_INVALID", message: /clear text/ });
});

test("a handler that cannot be registered is refused by name", async (t) => {
  const { app } = await setup(t);
  app.handle(JobServiceService.getJob, () => ({ job: undefined }));
  assert.throws(() => app.handle(JobServiceService.getJob, () => ({ job: undefined })), /GetJob has a handler already/);
  const foreign = { ...JobServiceService.getJob, path: "/other.Service/Method" };
  assert.throws(() => app.handle(foreign, () => ({ job: undefined })), /do not have other\.Service\/Method/);
});

test("a program of handlers makes gRPC calls only where it, or its environment, says so", async (t) => {
  const asked: readonly (readonly [ExecutorOptions, readonly string[]])[] = [
    [{}, []],
    [{ allowGrpc: true }, ["grpc"]],
    [{ env: { JOBMESH_ALLOW_GRPC: "true" } }, ["grpc"]],
    [{ env: { JOBMESH_ALLOW_GRPC: "true" }, allowGrpc: false }, []],
  ];
  for (const [options, kinds] of asked) {
    const { home, app } = await setup(t, options);
    await app.start();
    const { profile } = await home.next("hello");
    assert.deepEqual(
      profile.capabilities.map(({ kind }) => kind),
      kinds,
    );
  }
});
