/** `jobmesh logs` and `jobmesh handlers` as a user calls them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ReportServiceService } from "../../examples/report/gen/acme/report/v1/report_service.ts";
import { ExecutionPolicy } from "../../gen/jobmesh/v1/job.ts";
import { command, handler } from "../../services/client/targets.ts";
import { cliMesh } from "../support/cli-mesh.ts";
import { startReport } from "../support/report-example.ts";

test("logs shows what the last attempt wrote, each stream on its own, or its last lines", async (t) => {
  const { cli, client } = await cliMesh(t);
  const { executionId } = await client.submit({ target: command("printf 'a\\nb\\nc'; printf 'oh\\n' >&2") });
  await client.waitUntilEnded(executionId);
  const all = await cli("logs", executionId);
  assert.deepEqual([all.code, all.stdout, all.stderr], [0, "a\nb\nc", "oh\n"]);
  const tail = await cli("logs", "--tail", "100", executionId);
  assert.deepEqual([tail.code, tail.stdout, tail.stderr], [0, "a\nb\nc", "oh\n"]);
  const { executionId: long } = await client.submit({ target: command("seq 1 20000") });
  await client.waitUntilEnded(long);
  const last = await cli("logs", long, "--tail=2");
  assert.deepEqual([last.code, last.stdout, last.stderr], [0, "19999\n20000\n", ""]);
});

test("logs with --follow goes on over retries, over a mesh that comes back, until the execution has ended", async (t) => {
  const { processes, mesh, dataDir, env, cli, client } = await cliMesh(t);
  const folder = processes.folder();
  const line = `echo "attempt $JOBMESH_ATTEMPT"; [ "$JOBMESH_ATTEMPT" = 1 ] && exit 1
    while [ ! -e ${folder}/go ]; do sleep 0.02; done; echo end`;
  const policy = ExecutionPolicy.fromPartial({ retry: { maxAttempts: 2, initialInterval: { nanos: 1_000_000 } } });
  const { executionId } = await client.submit({ target: command(line), policy });
  const followed = processes.start(["logs", "--follow", executionId], { env });
  await followed.printed(/^attempt 2$/m);
  await mesh.end("SIGKILL");
  await followed.printed(/^jobmesh: no scheduler answers now, waiting for one$/m, { stream: "stderr" });
  await processes.dev({ dataDir, listen: mesh.address });
  await followed.printed(/^attempt 3$/m);
  await processes.run(["-c", `touch ${folder}/go`], { program: ["/bin/sh"] });
  assert.deepEqual(await followed.ended, { code: 0, signal: null });
  const shown = "attempt 1\nattempt 2\nattempt 3\nend\n";
  assert.ok(shown.endsWith(followed.stdout), followed.stdout);
  const first = await cli("logs", "--attempt", "1", executionId);
  assert.equal(first.stdout, "attempt 1\n");
  const all = await cli("logs", "--attempt", "1", "--follow", executionId);
  assert.deepEqual([all.code, all.stdout], [0, shown]);
});

test("handlers shows who runs each method, and who ran it; logs shows a handler's lines", async (t) => {
  const { processes, mesh, env, cli, client } = await cliMesh(t);
  const report = await startReport({ t, processes, client, address: mesh.address, grpcurl: "", env }, "reports-1");
  const row =
    "acme\\.report\\.v1\\.ReportService/Render +acme\\.report\\.v1\\.RenderRequest +acme\\.report\\.v1\\.RenderResponse";
  const alive = await cli("handlers");
  assert.match(alive.stdout, new RegExp(`^HANDLER +REQUEST +RESPONSE +EXECUTORS\n${row} +reports-1\n$`));
  const request = { title: "March", rows: [{ name: "orders", amount: 7n }] };
  const { executionId } = await client.submit({ target: handler(ReportServiceService.render, request) });
  await client.waitUntilEnded(executionId);
  assert.equal((await cli("logs", executionId)).stdout, 'INFO rendering {"title":"March","attempt":1}\n');
  await report.end("SIGTERM");
  const left = await cli("handlers", "--namespace", "default");
  assert.match(left.stdout, new RegExp(`\n${row} +none: executions wait\n$`));
  assert.deepEqual([alive.code, left.code], [0, 0]);
});

test("logs and handlers say in one line what is wrong with a call", async (t) => {
  const { cli } = await cliMesh(t);
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [["logs"], /logs needs one execution/],
    [["logs", "a", "b"], /logs needs one execution/],
    [["logs", "x"], /execution_id: must be a UUID/],
    [["logs", "--tail", "many", "x"], /--tail: must be a whole number; was "many"/],
    [["logs", "--tail"], /--tail: needs a value/],
    [["logs", "--follow=yes", "x"], /--follow: takes no value/],
    [["logs", "--attempt", "1", "--attempt", "2", "x"], /--attempt: was given twice/],
    [["logs", "--shell", "x"], /--shell is not an option|--shell: is not an option/],
    [["logs", "01a207c4-29b6-7000-8000-000000000000"], /there is no execution/],
    [["handlers", "now"], /handlers takes no arguments/],
    [["handlers", "--namespace", "a b"], /namespace: must be 1 to 64/],
  ];
  for (const [args, says] of cases) {
    const { code, stdout, stderr } = await cli(...args);
    assert.deepEqual([code, stdout], [1, ""], args.join(" "));
    assert.match(stderr, /^jobmesh: .+\n$/);
    assert.match(stderr, says);
  }
  assert.match((await cli("logs", "--help")).stdout, /^Usage: jobmesh logs .*--follow.*--scheduler/s);
});
