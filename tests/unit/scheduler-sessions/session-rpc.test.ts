import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { SessionDown, SessionUp } from "../../../services/common/domain/session.ts";
import type { JobmeshError } from "../../../services/common/error/jobmesh-error.ts";
import { RpcChannel } from "../../../services/common/rpc/rpc-channel.ts";
import { RpcServer } from "../../../services/common/rpc/rpc-server.ts";
import { silentLogger } from "../../../services/common/runtime/log.ts";
import { SystemClock } from "../../../services/common/runtime/system-clock.ts";
import { sessionMethod, sessionService } from "../../../services/common/wire/session-method.ts";
import { sessionHandler } from "../../../services/scheduler/sessions/session-rpc.ts";
import { testProfile } from "../../support/executor-profile.ts";
import { schedulerCore } from "../../support/scheduler-core.ts";

/** Sessions served by gRPC, and an executor's stream to them. */
async function setup(t: TestContext) {
  const core = await schedulerCore(t);
  const clock = new SystemClock();
  const server = new RpcServer({ log: silentLogger, clock }, { listen: "127.0.0.1:0" });
  server.addService(sessionService, { session: sessionHandler(core.sessions) });
  const { address } = await server.start();
  const channel = new RpcChannel({ clock }, { target: address });
  const stop = async (): Promise<void> => {
    channel.close();
    await server.stop(0);
  };
  core.base.stops.push(stop);
  const stream = channel.bidi(sessionMethod);
  const heard: SessionDown[] = [];
  const waiters: (() => void)[] = [];
  stream.onMessage((message) => {
    heard.push(message);
    for (const wake of waiters.splice(0)) wake();
  });
  const closed = new Promise<JobmeshError | null>((resolve) => stream.onClosed(resolve));
  const hear = async <K extends SessionDown["kind"]>(kind: K): Promise<Extract<SessionDown, { kind: K }>> => {
    for (;;) {
      const found = heard.find((message) => message.kind === kind);
      if (found !== undefined) return found as Extract<SessionDown, { kind: K }>;
      await new Promise<void>((resolve) => waiters.push(resolve));
    }
  };
  return { core, server, stream, hear, closed };
}

const hello = (changes: Partial<Extract<SessionUp, { kind: "hello" }>> = {}): SessionUp => ({
  kind: "hello",
  profile: testProfile("one"),
  sessionNumber: 1,
  taken: [],
  previousIncarnation: null,
  ...changes,
});

test("a session over gRPC: Hello, Welcome, heartbeats, and an orderly end by the executor", async (t) => {
  const { core, stream, hear, closed } = await setup(t);
  stream.send(hello());
  assert.equal((await hear("welcome")).schedulerId, "scheduler-1");
  const slots = [{ capabilityIndex: null, free: 2, receivedCount: 0 }];
  stream.send({ kind: "heartbeat", sequence: 1, slots, cpuLoad: 0, memoryBytes: 0, sendUs: 0 });
  assert.equal((await hear("heartbeat_ack")).timeUs, core.nowUs());
  assert.equal(core.roster.anyRoom(), true);
  stream.end();
  assert.equal(await closed, null);
  assert.equal(core.roster.size, 0);
});

test("a refused Hello is a status with its violations", async (t) => {
  const { stream, closed } = await setup(t);
  stream.send(hello({ profile: testProfile("one", { slots: 0 }) }));
  const error = await closed;
  assert.equal(error?.code, "INVALID_ARGUMENT");
  assert.deepEqual(
    error?.fieldViolations.map(({ field }) => field),
    ["hello.slots"],
  );
});

test("a taken executor_id is ALREADY_EXISTS with the time to wait", async (t) => {
  const { core, stream, closed } = await setup(t);
  await core.join("one", 1);
  stream.send(hello({ profile: testProfile("one", { incarnation: "one-2" as never }) }));
  const error = await closed;
  assert.equal(error?.code, "ALREADY_EXISTS");
  assert.equal(error?.retryDelayMs, 1_000);
});

test("a server that stops ends its sessions with SHUTTING_DOWN, so that executors go elsewhere", async (t) => {
  const { server, stream, hear, closed } = await setup(t);
  stream.send(hello());
  await hear("welcome");
  await server.stop(1_000);
  assert.equal((await closed)?.reason, "SHUTTING_DOWN");
});

test("a stream that is cut takes its executor from the roster", async (t) => {
  const { core, stream, hear } = await setup(t);
  stream.send(hello());
  await hear("welcome");
  const session = core.sessions.get(testProfile("one").executorId);
  assert.ok(session);
  const over = new Promise<void>((resolve) => session.signal.addEventListener("abort", () => resolve()));
  stream.fail(new Error("cut"));
  await over;
  assert.equal(core.roster.size, 0);
});
