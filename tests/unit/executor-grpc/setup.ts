import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type { TestContext } from "node:test";
import {
  type Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type sendUnaryData,
} from "@grpc/grpc-js";
import {
  RenderRequest,
  RenderResponse,
  ReportServiceService,
} from "../../../examples/report/gen/acme/report/v1/report_service.ts";
import {
  ServerReflectionService as ReflectionV1,
  type ServerReflectionRequest,
  type ServerReflectionResponse,
} from "../../../gen/grpc/reflection/v1/reflection.ts";
import { ServerReflectionService as ReflectionV1Alpha } from "../../../gen/grpc/reflection/v1alpha/reflection.ts";
import { type DeepPartial, type GrpcTarget, Target } from "../../../gen/jobmesh/v1/job.ts";
import type { AttemptOutcome } from "../../../services/common/domain/attempt.ts";
import type { DispatchOrder } from "../../../services/common/domain/dispatch.ts";
import type { ExecutionId, ExecutorId, Fence, Incarnation } from "../../../services/common/domain/identifier.ts";
import { DescriptorIndex } from "../../../services/common/rpc/descriptor-index.ts";
import { SystemClock } from "../../../services/common/runtime/system-clock.ts";
import { KnownKey } from "../../../services/executor/known-keys.ts";
import { type OutputWrite, RunningAttempt } from "../../../services/executor/running-attempt.ts";
import { type SecretSource, Secrets } from "../../../services/executor/secrets.ts";
import { AddressGuard } from "../../../services/executor/target/address-guard.ts";
import { GrpcRunner } from "../../../services/executor/target/grpc.ts";
import type { GrpcChannelLimits } from "../../../services/executor/target/grpc-channels.ts";
import type { AttemptEnding } from "../../../services/executor/target-runner.ts";
import type { SelfSigned } from "../../support/self-signed.ts";

export const clock = new SystemClock();

/** The method that the server under test has. */
export const RENDER = "acme.report.v1.ReportService/Render";

/** Descriptors of it. */
export const DESCRIPTORS = readFileSync(new URL("../../../examples/report/gen/descriptors.binpb", import.meta.url));

type RenderCall = ServerUnaryCall<RenderRequest, RenderResponse>;
type Answer = sendUnaryData<RenderResponse>;

/** What the server saw of a call. */
export type SeenCall = {
  readonly request: RenderRequest;
  readonly metadata: Metadata;
  /** Milliseconds that the caller gave it. */
  readonly leftMs: number;
  /** Resolves when the caller has cancelled it. */
  readonly cancelled: Promise<void>;
};

/** Answers a question of reflection. */
export type AnswerReflection = (request: ServerReflectionRequest) => ServerReflectionResponse["messageResponse"];

/** How a server behaves. */
export type ServerOptions = {
  /** Answers a call; by default with the title and the number of rows. */
  readonly render?: (call: RenderCall, answer: Answer) => void;
  /** Versions of reflection that it serves; none by default. */
  readonly reflection?: readonly ("v1" | "v1alpha")[];
  /** How it answers reflection; by default what the descriptors of the report example say. */
  readonly reflect?: AnswerReflection;
  readonly tls?: SelfSigned;
  /** Authority that clients' certificates have to be of; none is asked for by default. */
  readonly clientCa?: string;
  /** Address of loopback; 127.0.0.1 by default. */
  readonly host?: string;
  /** Port of loopback; a free one by default. */
  readonly port?: number;
};

/** A real gRPC server that remembers what it was called with. */
export async function startServer(t: TestContext, options: ServerOptions = {}) {
  const server = new Server();
  const calls: SeenCall[] = [];
  const waiting: ((call: SeenCall) => void)[] = [];
  const reflected: ServerReflectionRequest["messageRequest"][] = [];
  server.addService(ReportServiceService, {
    render: (call: RenderCall, answer: Answer) => {
      const cancelled = new Promise<void>((resolve) => call.once("cancelled", () => resolve()));
      const leftMs = Number(call.getDeadline()) - clock.wallUs() / 1000;
      const seen = { request: call.request, metadata: call.metadata, leftMs, cancelled };
      calls.push(seen);
      for (const resolve of waiting.splice(0)) resolve(seen);
      (options.render ?? plainly)(call, answer);
    },
  });
  const reflect = options.reflect ?? reflectReport();
  const serverReflectionInfo = (
    stream: ServerDuplexStream<ServerReflectionRequest, ServerReflectionResponse>,
  ): void => {
    stream.on("data", (request: ServerReflectionRequest) => {
      reflected.push(request.messageRequest);
      stream.write({ validHost: "", originalRequest: request, messageResponse: reflect(request) });
    });
    stream.on("end", () => stream.end());
  };
  if (options.reflection?.includes("v1")) server.addService(ReflectionV1, { serverReflectionInfo });
  if (options.reflection?.includes("v1alpha")) server.addService(ReflectionV1Alpha, { serverReflectionInfo });
  const host = options.host ?? "127.0.0.1";
  const port = await new Promise<number>((resolve, reject) => {
    const bound = (error: Error | null, at: number): void => (error === null ? resolve(at) : reject(error));
    server.bindAsync(`${host}:${options.port ?? 0}`, credentialsOf(options), bound);
  });
  t.after(() => server.forceShutdown());
  const next = (): Promise<SeenCall> => new Promise((resolve) => waiting.push(resolve));
  return { address: `${host}:${port}`, port, calls, reflected, next, stop: () => server.forceShutdown() };
}

function credentialsOf({ tls, clientCa }: ServerOptions): ServerCredentials {
  if (tls === undefined) return ServerCredentials.createInsecure();
  const pair = { private_key: Buffer.from(tls.key), cert_chain: Buffer.from(tls.cert) };
  if (clientCa === undefined) return ServerCredentials.createSsl(null, [pair]);
  return ServerCredentials.createSsl(Buffer.from(clientCa), [pair], true);
}

function plainly({ request }: RenderCall, answer: Answer): void {
  answer(null, RenderResponse.fromPartial({ text: `${request.title}: ${request.rows.length}` }));
}

/** Reflection of the report example, one file an answer, as some servers have it. */
export function reflectReport(): AnswerReflection {
  const index = new DescriptorIndex();
  index.add(DESCRIPTORS);
  return ({ messageRequest }) => {
    const name =
      messageRequest?.$case === "fileContainingSymbol"
        ? index.fileOfSymbol(messageRequest.value)
        : messageRequest?.$case === "fileByFilename"
          ? messageRequest.value
          : null;
    const bytes = name === null ? undefined : index.closure(name)?.get(name);
    if (bytes === undefined) return { $case: "errorResponse", value: { errorCode: 5, errorMessage: "not here" } };
    return { $case: "fileDescriptorResponse", value: { fileDescriptorProto: [bytes] } };
  };
}

/** A request in bytes. */
export function bytesRequest(title: string): GrpcTarget["payload"] {
  return { $case: "request", value: Buffer.from(RenderRequest.encode({ title, rows: [] }).finish()) };
}

/** An attempt with its end, and what it has written to its log. */
export type Run = {
  readonly attempt: RunningAttempt;
  readonly ended: Promise<AttemptEnding>;
  readonly writes: readonly OutputWrite[];
};

/** The guard of an executor, as it is by default. */
export const guard = new AddressGuard({ allowMetadataAddresses: false });

/** An executor without any secret. */
export const noSecrets: SecretSource = new Secrets({ folder: null, environment: {} });

/** A runner on the machine's clock, with what its tests ask of it; what it keeps is closed with the test. */
export function setup(t: TestContext, limits?: GrpcChannelLimits, addresses = guard, secrets = noSecrets) {
  const runner = new GrpcRunner({ clock, guard: addresses, secrets }, limits);
  t.after(() => runner.close());
  let count = 0;
  const start = (target: DeepPartial<GrpcTarget>, parts: Partial<DispatchOrder> = {}): Run => {
    const writes: OutputWrite[] = [];
    const attempt = attemptAt(target, ++count, parts, writes);
    return { attempt, ended: runner.run(attempt), writes };
  };
  const outcome = async (target: DeepPartial<GrpcTarget>, parts?: Partial<DispatchOrder>): Promise<AttemptOutcome> =>
    (await start(target, parts).ended).outcome;
  return { runner, start, outcome };
}

/** The failure of an outcome, with what retries read of it. */
export function failureOf(outcome: AttemptOutcome): {
  code: number;
  message: string;
  reason: string;
  nonRetryable: boolean;
  retryDelayMs: number | null;
} {
  assert.ok(outcome.kind === "failed", JSON.stringify(outcome));
  const { failure, nonRetryable, retryDelayMs } = outcome;
  return { ...failure, nonRetryable, retryDelayMs };
}

/** The text that a render answered. */
export function textOf(outcome: AttemptOutcome): string {
  assert.ok(outcome.kind === "succeeded", JSON.stringify(outcome));
  return RenderResponse.decode(outcome.result).text;
}

function attemptAt(
  target: DeepPartial<GrpcTarget>,
  count: number,
  parts: Partial<DispatchOrder>,
  writes: OutputWrite[],
): RunningAttempt {
  const whole = Target.fromPartial({ kind: { $case: "grpc", value: { method: RENDER, ...target } } });
  const executionId = `00000000-0000-7000-8000-${String(count).padStart(12, "0")}` as ExecutionId;
  const order: DispatchOrder = {
    key: { executionId, attempt: 2, fence: BigInt(count) as Fence },
    executorId: "executor-1" as ExecutorId,
    incarnation: "one" as Incarnation,
    namespace: "default",
    jobId: "",
    target: { kind: "grpc", method: "", summary: RENDER, bytes: Target.encode(whole).finish() },
    timeoutMs: 20_000,
    holdUntilUs: null,
    startDeadlineUs: null,
    scheduledUs: clock.wallUs(),
    maxAttempts: 3,
    labels: {},
    sessionNumber: 1,
    dispatchUs: clock.wallUs(),
    traceparent: "",
    tracestate: "",
    ...parts,
  };
  const known = new KnownKey(order.key, executionId, order.dispatchUs);
  const start = { us: clock.wallUs(), ms: clock.monotonicMs(), keepsTimeout: false };
  const voice = { write: (_attempt: RunningAttempt, write: OutputWrite) => void writes.push(write) };
  return new RunningAttempt(voice, known, order, 0, start);
}
