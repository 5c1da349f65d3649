/** `jobmesh run` and `jobmesh status` as a user calls them. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { ExecutionState, StateReason } from "../../gen/jobmesh/v1/execution.ts";
import { CancelExecutionRequest } from "../../gen/jobmesh/v1/execution_service.ts";
import { command } from "../../services/client/targets.ts";
import { CLI_MAIN, MeshProcesses, type Outcome } from "../support/mesh-process.ts";

async function setup(t: TestContext, args: readonly string[] = []) {
  const processes = new MeshProcesses(t);
  const mesh = await processes.dev({ dataDir: processes.folder(), args });
  const env = { JOBMESH_SCHEDULER: mesh.address };
  const run = (...words: string[]): Promise<Outcome> => processes.run(["run", "--", ...words], { env });
  return { processes, mesh, env, run, client: processes.client(mesh.address) };
}

/** What `run` says itself, on standard error before and after what the command wrote there. */
const EXECUTION_LINE = /^jobmesh: execution [0-9a-f-]{36}\n/;

test("run shows the output as it was written, each stream on its own, and nothing else on standard output", async (t) => {
  const { run } = await setup(t);
  const outcome = await run("printf 'one\\ntwo without an end'; printf 'oh\\n\\n' >&2");
  assert.equal(outcome.code, 0);
  assert.equal(outcome.stdout, "one\ntwo without an end");
  assert.match(outcome.stderr, EXECUTION_LINE);
  assert.equal(outcome.stderr.replace(EXECUTION_LINE, ""), "oh\n\n");
});

test("run gives back text of many bytes exactly, and in order", async (t) => {
  const { run } = await setup(t);
  const outcome = await run('i=0; while [ $i -lt 5000 ]; do echo "$i zäh 日本 🎉"; i=$((i + 1)); done');
  assert.equal(outcome.code, 0, outcome.stderr);
  assert.equal(outcome.stdout, Array.from({ length: 5_000 }, (_, index) => `${index} zäh 日本 🎉\n`).join(""));
});

test("run exits as the command did", async (t) => {
  const { run } = await setup(t);
  for (const code of [1, 3, 127, 255]) {
    const outcome = await run(`exit ${code}`);
    assert.equal(outcome.code, code);
    assert.match(outcome.stderr.replace(EXECUTION_LINE, ""), new RegExp(`^jobmesh: FAILED: .*${code}\n$`));
  }
  const missing = await run("no-such-program-anywhere", "argument");
  assert.notEqual(missing.code, 0);
  assert.match(missing.stderr, /jobmesh: FAILED: .*no-such-program-anywhere/);
  const killed = await run("kill -9 $$");
  assert.equal(killed.code, 137, "as a shell has it: 128 and the signal");
  assert.match(killed.stderr, /jobmesh: FAILED: .*(SIGKILL|signal)/);
});

test("run with several words runs the program without a shell", async (t) => {
  const { run } = await setup(t);
  const outcome = await run("printf", "%s|", "$HOME", "a b", "*");
  assert.deepEqual([outcome.code, outcome.stdout], [0, "$HOME|a b|*|"]);
});

test("run follows the output while the command runs, and says how it ended when another ends it", async (t) => {
  const { processes, env, client } = await setup(t);
  const running = processes.start(["run", "--", "echo begun; sleep 60"], { env });
  await running.printed(/^begun$/m);
  const [, executionId = ""] = await running.printed(/execution (\S+)/, { stream: "stderr" });
  const reason = "enough of it";
  await client.executions.cancelExecution(CancelExecutionRequest.fromPartial({ executionId, reason }));
  const ended = await running.ended;
  assert.notEqual(ended.code, 0);
  assert.match(running.stderr, /jobmesh: CANCELLED/);
});

test("run goes on where it was when the mesh comes back, whatever became of the attempt", async (t) => {
  const processes = new MeshProcesses(t);
  const dataDir = processes.folder();
  const mesh = await processes.dev({ dataDir });
  const env = { JOBMESH_SCHEDULER: mesh.address };
  const script = 'echo "attempt $JOBMESH_ATTEMPT"; [ "$JOBMESH_ATTEMPT" = 1 ] && sleep 60; echo whole; exit 4';
  const running = processes.start(["run", "--", script], { env });
  await running.printed(/^attempt 1$/m);
  await mesh.end("SIGKILL");
  await running.printed(/^jobmesh: no scheduler answers now, waiting for one$/m, { stream: "stderr" });
  await processes.dev({ dataDir, listen: mesh.address });
  assert.deepEqual(await running.ended, { code: 4, signal: null });
  assert.equal(running.stdout, "attempt 1\nattempt 2\nwhole\n");
});

test("whoever reads the output may stop", async (t) => {
  const { processes, env } = await setup(t);
  const lines = 'i=0; while [ $i -lt 20000 ]; do echo "line $i"; i=$((i + 1)); done';
  const script = '"$0" "$@" | head -n 2';
  const program = ["/bin/sh", "-c", script, process.execPath, CLI_MAIN];
  for (const args of [
    ["run", "--", lines],
    ["dev", "--help"],
  ]) {
    const outcome = await processes.run(args, { env, program });
    assert.equal(outcome.stdout.split("\n").length, 3, outcome.stdout);
    assert.doesNotMatch(outcome.stderr, /EPIPE|^\s+at /m);
  }
});

test("run without a command, or with an unknown option, is one line", async (t) => {
  const processes = new MeshProcesses(t);
  for (const args of [["run"], ["run", "--"], ["run", "--shell", "--", "true"], ["status", "now"]]) {
    const outcome = await processes.run(args);
    assert.notEqual(outcome.code, 0);
    assert.match(outcome.stderr, /^jobmesh: .+\n$/);
    assert.equal(outcome.stdout, "");
  }
});

test("status shows backends, counts, schedulers and executors, and exits with 0 when all is well", async (t) => {
  const { processes, mesh, env, client } = await setup(t, ["--slots", "3", "--executor-id", "one"]);
  const { executionId } = await client.submit({ target: command("sleep 60") });
  // Counts are a sample, two seconds old at most.
  let status = await processes.run(["status"], { env });
  while (!/, 1 running$/m.test(status.stdout)) status = await processes.run(["status"], { env });
  assert.equal(status.code, 0);
  assert.equal(status.stderr, "");
  for (const pattern of [
    /^store sqlite: healthy$/m,
    /^bus session: healthy$/m,
    /^registry memory: healthy$/m,
    /^jobs: 2$/m,
    /^slots: \d free of 3$/m,
    new RegExp(`^SCHEDULER +ADDRESS .*\n\\S+ +${mesh.address} +256 +1 +\\d`, "m"),
    /^EXECUTOR +STATE .*\none +ACTIVE +\d\/3 +\S+ +command grpc http$/m,
  ]) {
    assert.match(status.stdout, pattern);
  }
  await client.executions.cancelExecution(CancelExecutionRequest.fromPartial({ executionId }));
});

test("where no mesh answers, run and status say so in one line, soon", async (t) => {
  const processes = new MeshProcesses(t);
  for (const args of [["status"], ["run", "--", "true"]]) {
    const outcome = await processes.run(args, { env: { JOBMESH_SCHEDULER: "127.0.0.1:9" } });
    assert.equal(outcome.code, 1);
    assert.match(outcome.stderr, /^jobmesh: .+\n$/);
    assert.match(outcome.stderr, /127\.0\.0\.1:9/);
    assert.doesNotMatch(outcome.stderr, /round_robin|Resolution note|undefined/);
    assert.ok(outcome.tookMs < 5_000, `${outcome.tookMs} ms`);
  }
});

test("an executor without allowed commands runs none: the command waits, and says for what", async (t) => {
  const { mesh, client } = await setup(t, ["--allow-commands=false"]);
  const { executionId } = await client.submit({ target: command("echo never") });
  const late = { timeoutMs: 1_500 };
  const waited = client.executions.getExecution({ executionId, waitUntilEnded: true, view: 0 }, late);
  await assert.rejects(waited, { reason: "DEADLINE" });
  const { execution } = await client.executions.getExecution({ executionId, waitUntilEnded: false, view: 0 });
  assert.equal(execution?.state, ExecutionState.EXECUTION_STATE_READY);
  assert.equal(execution?.attempt, 0);
  assert.equal(execution?.stateReason, StateReason.STATE_REASON_NO_MATCHING_EXECUTOR);
  assert.doesNotMatch(mesh.stdout, /SUCCEEDED|FAILED/);
});
