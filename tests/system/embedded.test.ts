/** `jobmesh dev`, the embedded mesh: what its start shows and makes, and what a restart goes on with. */
import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ExecutionState } from "../../gen/jobmesh/v1/execution.ts";
import { CountExecutionsRequest } from "../../gen/jobmesh/v1/execution_service.ts";
import { ExecutionPolicy } from "../../gen/jobmesh/v1/job.ts";
import { DeleteJobRequest, ListJobsRequest } from "../../gen/jobmesh/v1/job_service.ts";
import { command } from "../../services/client/targets.ts";
import { MeshProcesses } from "../support/mesh-process.ts";

/** The first results of the examples are printed this soon after readiness. */
const FIRST_RESULTS_MS = 3_000;

test("in an empty folder two example jobs are made, and their first results shown within 3 s of readiness", async (t) => {
  const processes = new MeshProcesses(t);
  const mesh = await processes.dev({ dataDir: join(processes.folder(), "new") });
  const readyMs = performance.now();
  await mesh.printed(/SUCCEEDED example-hello in \d+ ms: hello from /, { waitMs: FIRST_RESULTS_MS });
  await mesh.printed(/SUCCEEDED example-disk in \d+ ms: \d+% of /, { waitMs: FIRST_RESULTS_MS });
  t.diagnostic(`both first results ${Math.round(performance.now() - readyMs)} ms after readiness`);

  const { jobs } = await processes.client(mesh.address).jobs.listJobs(ListJobsRequest.fromPartial({}));
  assert.deepEqual(
    jobs.map(({ jobId, schedule }) => [jobId, schedule?.when?.$case]),
    [
      ["example-disk", "interval"],
      ["example-hello", "at"],
    ],
  );
  assert.equal(mesh.stderr, "", "nothing is amiss");
});

test("it says where it serves, where its data is, and three commands to try next", async (t) => {
  const processes = new MeshProcesses(t);
  const dataDir = join(processes.folder(), "data");
  const mesh = await processes.dev({ dataDir });
  const { address, stdout } = mesh;
  assert.match(stdout, /^jobmesh \d+\.\d+\.\d+ is ready\n/);
  assert.ok(stdout.includes(join(dataDir, "jobmesh.db")), stdout);
  const tried = stdout.split("\n").filter((line) => /^ {2}(npx jobmesh|grpcurl) /.test(line));
  assert.equal(tried.length, 3, stdout);
  for (const line of tried)
    assert.ok(line.includes(address), `at an address of its own each command names it: ${line}`);
  const health = await fetch(`http://${mesh.httpAddress}/healthz`);
  const ready = await fetch(`http://${mesh.httpAddress}/readyz`);
  assert.deepEqual([health.status, ready.status], [200, 200]);
  assert.match(await (await fetch(`http://${mesh.httpAddress}/metrics`)).text(), /^jobmesh_\w+/m);
});

test("a restart on the same folder makes no example job again", async (t) => {
  const processes = new MeshProcesses(t);
  const dataDir = processes.folder();
  const first = await processes.dev({ dataDir });
  const client = processes.client(first.address);
  await first.printed(/SUCCEEDED example-hello/);
  await client.jobs.deleteJob(DeleteJobRequest.fromPartial({ jobId: "example-disk" }));
  assert.deepEqual(await first.end("SIGINT"), { code: 0, signal: null });

  const second = await processes.dev({ dataDir });
  const probe = processes.client(second.address);
  const execution = await probe.submit({ target: command("echo again") });
  await probe.waitUntilEnded(execution.executionId);
  await second.printed(/echo again/);
  assert.doesNotMatch(second.stdout, /example-/);
  const filter = { jobId: "example-hello" };
  const { counts } = await probe.executions.countExecutions(CountExecutionsRequest.fromPartial({ filter }));
  assert.deepEqual(counts, [{ state: ExecutionState.EXECUTION_STATE_SUCCEEDED, count: 1n }]);
});

test("each execution that ends has one readable line, whatever its name and output hold", async (t) => {
  const processes = new MeshProcesses(t);
  const mesh = await processes.dev({ dataDir: processes.folder() });
  const client = processes.client(mesh.address);
  await mesh.printed(/SUCCEEDED example-disk/);
  await mesh.printed(/SUCCEEDED example-hello/);
  const before = mesh.stdout.length;
  const runs = [
    { name: "plain", target: command("echo fine") },
    { name: "fails", target: command("echo no >&2; exit 7") },
    {
      name: "slow",
      target: command("sleep 30"),
      policy: ExecutionPolicy.fromPartial({ timeout: { nanos: 200_000_000 } }),
    },
    { name: "two\nlines\u001b[2J", target: command("printf 'first\\nsecond\\n'") },
    { name: "colours", target: command("printf '\\033[31mred\\033[0m\\007'") },
    { name: "quiet", target: command("true") },
  ];
  for (const run of runs) {
    const execution = await client.submit(run);
    await client.waitUntilEnded(execution.executionId);
  }
  await mesh.printed(/ quiet in \d+ ms\n/);
  const lines = mesh.stdout
    .slice(before)
    .split("\n")
    .filter((line) => line !== "" && !line.includes(" example-"));
  const time = String.raw`^\d\d:\d\d:\d\d\.\d{3} `;
  const expected = [
    "SUCCEEDED +plain in \\d+ ms: fine$",
    "FAILED +fails in \\d+ ms: exit code 7",
    "TIMED_OUT +slow in \\d+ ms: ",
    "SUCCEEDED +two lines \\[2J in \\d+ ms: first$",
    "SUCCEEDED +colours in \\d+ ms: \\[31mred",
    "SUCCEEDED +quiet in \\d+ ms$",
  ];
  assert.equal(lines.length, expected.length, lines.join("\n"));
  for (const [index, pattern] of expected.entries()) assert.match(lines[index] ?? "", new RegExp(time + pattern));
  assert.doesNotMatch(lines.join(""), /\p{Cc}/u, "no command writes to the terminal by its output");
});

test("--help lists the options and starts nothing", async (t) => {
  const processes = new MeshProcesses(t);
  const cwd = processes.folder();
  const help = await processes.run(["dev", "--help"], { cwd });
  assert.equal(help.code, 0);
  for (const name of ["--listen", "--http-listen", "--data-dir", "--slots", "--labels", "--log-level", "--insecure"]) {
    assert.ok(help.stdout.includes(`${name}`), name);
  }
  for (const name of ["JOBMESH_LISTEN", "JOBMESH_HTTP_LISTEN", "JOBMESH_DATA_DIR", "JOBMESH_SLOTS"]) {
    assert.ok(help.stdout.includes(name), name);
  }
  assert.deepEqual(readdirSync(cwd), []);
  assert.equal(existsSync(join(cwd, ".jobmesh")), false);
});
