/** How the embedded mesh stops: Ctrl-C once, twice, by npm, SIGTERM, and what is stored when it has. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { HealthCheckResponse_ServingStatus, HealthService } from "../../gen/grpc/health/v1/health.ts";
import { ExecutionState } from "../../gen/jobmesh/v1/execution.ts";
import { ListAttemptsRequest, ReadLogsRequest } from "../../gen/jobmesh/v1/execution_service.ts";
import { command } from "../../services/client/targets.ts";
import { RpcChannel } from "../../services/common/rpc/rpc-channel.ts";
import { SystemClock } from "../../services/common/runtime/system-clock.ts";
import { Lifeline } from "../support/lifeline.ts";
import { type DevMesh, MeshProcesses } from "../support/mesh-process.ts";

const { NOT_SERVING } = HealthCheckResponse_ServingStatus;
const CLEAN = { code: 0, signal: null };
const { EXECUTION_STATE_SUCCEEDED: SUCCEEDED, EXECUTION_STATE_SKIPPED: SKIPPED } = ExecutionState;

/** Longest that an end "at once" may take on a busy machine. */
const AT_ONCE_MS = 3_000;

async function setup(t: TestContext, args: readonly string[] = []) {
  const processes = new MeshProcesses(t);
  const folder = processes.folder();
  const lifeline = new Lifeline(folder);
  t.after(() => lifeline.close());
  const gate = join(folder, "gate");
  const dataDir = processes.folder();
  const mesh = await processes.dev({ dataDir, args });
  /** Submits a command that runs until the gate is opened, and waits until it has begun. */
  const hold = async (): Promise<string> => {
    // A fifo has a reader once only: a later attempt does without.
    const begin = '[ "$JOBMESH_ATTEMPT" = 1 ] && exec 9>"$LIFELINE" && echo begun >&9';
    const script = `${begin}; until [ -e "$GATE" ]; do sleep 0.05; done; echo went on`;
    const target = command(script, { env: { LIFELINE: lifeline.path, GATE: gate } });
    const begun = lifeline.written(1);
    const { executionId } = await processes.client(mesh.address).submit({ target });
    await begun;
    return executionId;
  };
  return { processes, dataDir, mesh, lifeline, hold, open: () => writeFile(gate, "") };
}

async function attemptsOf(processes: MeshProcesses, mesh: DevMesh, executionId: string) {
  const request = ListAttemptsRequest.fromPartial({ executionId });
  const { attempts } = await processes.client(mesh.address).executions.listAttempts(request);
  return attempts.map(({ attempt, state, counted, output }) => ({ attempt, state, counted, output }));
}

/** Asks grpc.health.v1 as a probe would. */
async function healthOf(mesh: DevMesh): Promise<number> {
  const channel = new RpcChannel({ clock: new SystemClock() }, { target: mesh.address });
  try {
    return (await channel.unary(HealthService.check, { service: "" })).status;
  } finally {
    channel.close();
  }
}

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  test(`${signal} lets what runs end, stores its result, exits with 0 and leaves no process`, async (t) => {
    const { processes, dataDir, mesh, lifeline, hold, open } = await setup(t);
    const executionId = await hold();
    mesh.signal(signal);
    await mesh.printed(/^stopping.*Ctrl-C again/m);
    assert.equal(await healthOf(mesh), NOT_SERVING, "what balances load hears before what runs has ended");
    await open();
    assert.deepEqual(await mesh.over(), CLEAN);
    await lifeline.ended;
    assert.match(mesh.stdout, /SUCCEEDED .*: went on\n/, "what ends while it stops has its line");
    assert.equal(mesh.stderr, "");

    const next = await processes.dev({ dataDir });
    assert.deepEqual(await attemptsOf(processes, next, executionId), [
      { attempt: 1, state: SUCCEEDED, counted: true, output: "went on\n" },
    ]);
  });
}

test("what does not end within the grace is cut off, not failed, and runs again after a restart", async (t) => {
  const { processes, dataDir, mesh, lifeline, hold, open } = await setup(t, ["--stop-grace", "500ms"]);
  const executionId = await hold();
  assert.deepEqual(await mesh.end("SIGINT"), CLEAN);
  await lifeline.ended;
  assert.doesNotMatch(mesh.stdout, /FAILED/);

  const next = await processes.dev({ dataDir });
  await open();
  await processes.client(next.address).waitUntilEnded(executionId);
  assert.deepEqual(await attemptsOf(processes, next, executionId), [
    { attempt: 1, state: SKIPPED, counted: false, output: "" },
    { attempt: 2, state: SUCCEEDED, counted: true, output: "went on\n" },
  ]);
});

test("a second Ctrl-C ends it at once, and nothing that it started outlives it", async (t) => {
  const { mesh, lifeline, hold } = await setup(t);
  await hold();
  mesh.signal("SIGINT");
  await mesh.printed(/^stopping/m);
  const startedMs = performance.now();
  // Signals soon after each other are one press: the key is pressed until it counts.
  assert.deepEqual(await mesh.press("SIGINT", 100), { code: 130, signal: null });
  await lifeline.ended;
  assert.ok(performance.now() - startedMs < AT_ONCE_MS);
});

test("the same press twice, as npm forwards it, is one", async (t) => {
  const { mesh, hold, open } = await setup(t);
  await hold();
  mesh.signal("SIGINT");
  mesh.signal("SIGINT");
  await mesh.printed(/^stopping/m);
  mesh.signal("SIGINT");
  await open();
  assert.deepEqual(await mesh.over(), CLEAN);
});

test("callers that wait or follow do not hold up the stop", async (t) => {
  const { processes, mesh, hold } = await setup(t, ["--stop-grace", "3s"]);
  const client = processes.client(mesh.address);
  const executionId = await hold();
  const waiting = client.executions.getExecution({ executionId, waitUntilEnded: true, view: 0 }).then(
    () => "answered",
    (error: { code?: string }) => error.code,
  );
  const following = (async () => {
    const request = ReadLogsRequest.fromPartial({ executionId, follow: true });
    for await (const _ of client.executions.readLogs(request)) assert.fail("the command prints nothing");
  })().then(
    () => "ended",
    (error: { code?: string }) => error.code,
  );
  const idle = processes.client(mesh.address);
  await idle.connected(5_000);
  const startedMs = performance.now();
  assert.deepEqual(await mesh.end("SIGINT"), CLEAN);
  assert.ok(performance.now() - startedMs < 3_000 + AT_ONCE_MS, `took ${performance.now() - startedMs} ms`);
  // The execution goes on after a restart; the attempt whose log is followed was cut off, and its log is whole.
  assert.deepEqual(await Promise.all([waiting, following]), ["UNAVAILABLE", "ended"]);
});

test("an idle mesh stops at once", async (t) => {
  const { mesh } = await setup(t);
  await mesh.printed(/SUCCEEDED example-disk/);
  const startedMs = performance.now();
  assert.deepEqual(await mesh.end("SIGINT"), CLEAN);
  const tookMs = performance.now() - startedMs;
  t.diagnostic(`stopped in ${Math.round(tookMs)} ms`);
  assert.ok(tookMs < AT_ONCE_MS);
});
