import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { type AddressInfo, createServer as createRawServer, type Server as RawServer, type Socket } from "node:net";
import type { TestContext } from "node:test";
import type { DeepPartial } from "../../../gen/jobmesh/v1/execution_service.ts";
import { HttpTarget, Target } from "../../../gen/jobmesh/v1/job.ts";
import type { DispatchOrder } from "../../../services/common/domain/dispatch.ts";
import type { ExecutionId, ExecutorId, Fence, Incarnation } from "../../../services/common/domain/identifier.ts";
import { SystemClock } from "../../../services/common/runtime/system-clock.ts";
import { KnownKey } from "../../../services/executor/known-keys.ts";
import { type OutputWrite, RunningAttempt } from "../../../services/executor/running-attempt.ts";
import { AddressGuard } from "../../../services/executor/target/address-guard.ts";
import { HttpRunner } from "../../../services/executor/target/http-runner.ts";
import type { AttemptEnding } from "../../../services/executor/target-runner.ts";
import type { SelfSigned } from "../../support/self-signed.ts";

export const clock = new SystemClock();

/** A request as a server got it. */
export type Got = {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
};

/** A server of one test. */
export type TargetServer = { readonly url: string; readonly got: Got[]; readonly sockets: readonly Socket[] };

/** Answers a request whose content has come. */
export type Answer = (got: Got, response: ServerResponse, request: IncomingMessage) => void;

/** A real HTTP server on loopback, with TLS where a certificate is given; gone with the test. */
export async function targetServer(t: TestContext, answer: Answer, tls?: SelfSigned): Promise<TargetServer> {
  const got: Got[] = [];
  const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { method = "", url: path = "", headers } = request;
      const one = { method, path, headers, body: Buffer.concat(chunks).toString() };
      got.push(one);
      answer(one, response, request);
    });
  };
  const server = tls === undefined ? createServer(onRequest) : createSecureServer(tls, onRequest);
  const sockets: Socket[] = [];
  server.on("connection", (socket: Socket) => sockets.push(socket));
  const port = await listening(t, server, sockets);
  return { url: `${tls === undefined ? "http" : "https"}://127.0.0.1:${port}`, got, sockets };
}

/** A server that speaks whatever it is told to; answers its URL. */
export async function rawServer(t: TestContext, onConnection: (socket: Socket) => void): Promise<string> {
  const sockets: Socket[] = [];
  const server = createRawServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => {});
    onConnection(socket);
  });
  return `http://127.0.0.1:${await listening(t, server, sockets)}`;
}

/** Lets a server listen on loopback until the test's end, when what is connected is cut off; answers its port. */
async function listening(t: TestContext, server: RawServer, sockets: readonly Socket[]): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, "close");
  });
  return (server.address() as AddressInfo).port;
}

/** An address on which nobody listens. */
export async function freeUrl(): Promise<string> {
  const server = createRawServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return `http://127.0.0.1:${port}`;
}

/** How an attempt is made. */
export type AttemptOptions = {
  readonly order?: Partial<DispatchOrder>;
  readonly guard?: AddressGuard;
  readonly onWrite?: (write: OutputWrite) => void;
};

/** An attempt that runs. */
export type Run = {
  readonly attempt: RunningAttempt;
  readonly ending: Promise<AttemptEnding>;
  /** What it wrote to a stream so far. */
  written(stream: "STDOUT" | "STDERR"): string;
};

/** Runs an attempt at an HTTP target. */
export function start(target: DeepPartial<HttpTarget>, options: AttemptOptions = {}): Run {
  const value = HttpTarget.fromPartial(target);
  // fromPartial takes JSON's null for nothing; the wire does not.
  if (target.content?.$case === "json") value.content = { $case: "json", value: target.content.value };
  const message: Target = { kind: { $case: "http", value } };
  const key = {
    executionId: "00000000-0000-7000-8000-000000000007" as ExecutionId,
    attempt: 2,
    fence: 7n as Fence,
  };
  const order: DispatchOrder = {
    key,
    executorId: "executor-1" as ExecutorId,
    incarnation: "incarnation-1" as Incarnation,
    namespace: "billing",
    jobId: "nightly",
    target: { kind: "http", method: "", summary: target.url ?? "", bytes: Target.encode(message).finish() },
    timeoutMs: 60_000,
    holdUntilUs: null,
    startDeadlineUs: null,
    scheduledUs: Date.UTC(2030, 0, 2, 3, 4, 5, 678) * 1000,
    maxAttempts: 3,
    labels: {},
    sessionNumber: 1,
    dispatchUs: 0,
    traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    tracestate: "vendor=1",
    ...options.order,
  };
  const writes: OutputWrite[] = [];
  const voice = {
    write: (_attempt: RunningAttempt, write: OutputWrite) => {
      writes.push(write);
      options.onWrite?.(write);
    },
  };
  const now = { us: clock.wallUs(), ms: clock.monotonicMs(), keepsTimeout: false };
  const attempt = new RunningAttempt(voice, new KnownKey(key, "key", 0), order, 0, now);
  const guard = options.guard ?? new AddressGuard({ allowMetadataAddresses: false });
  const ending = new HttpRunner({ clock, guard }, { version: "1.2.3" }).run(attempt);
  return {
    attempt,
    ending,
    written: (stream) =>
      Buffer.concat(writes.filter((write) => write.stream === stream).map(({ data }) => data)).toString(),
  };
}

/** Runs an attempt to its end. */
export async function run(
  target: DeepPartial<HttpTarget>,
  options: AttemptOptions = {},
): Promise<AttemptEnding & { readonly stdout: string; readonly stderr: string }> {
  const running = start(target, options);
  const ending = await running.ending;
  return { ...ending, stdout: running.written("STDOUT"), stderr: running.written("STDERR") };
}

/** The failure of an attempt that failed: reason, and whether another try is hopeless by itself. */
export function failureOf({ outcome }: AttemptEnding): { reason: string; nonRetryable: boolean; message: string } {
  if (outcome.kind !== "failed") throw new Error(`it is ${outcome.kind}`);
  const { failure, nonRetryable } = outcome;
  return { reason: failure.reason, nonRetryable, message: failure.message };
}

/** The result of an attempt that succeeded. */
export function resultOf({ outcome }: AttemptEnding): Buffer {
  if (outcome.kind !== "succeeded") throw new Error(`it is ${outcome.kind}: ${JSON.stringify(outcome)}`);
  return Buffer.from(outcome.result);
}
