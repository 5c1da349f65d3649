/** Parameters of jobs and executions: what is taken, what RunJob makes of them, and what is refused before it is stored. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Target } from "../../../gen/jobmesh/v1/job.ts";
import {
  MAX_PARAMETER_CHARACTERS,
  MAX_PARAMETERS,
  MAX_PARAMETERS_BYTES,
} from "../../../services/common/domain/parameter.ts";
import { faultsOf, jsonHandler, REPORT, registerReport, testApi } from "./setup.ts";

function echo(...args: string[]): Pick<Target, "kind"> {
  return {
    kind: { $case: "command", value: { command: "echo", args, env: {}, workingDirectory: "", input: undefined } },
  };
}

function many(count: number, value = ""): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, at) => [`p${at}`, value]));
}

/** As many bytes of JSON. */
function large(bytes: number): Record<string, string> {
  const parameters = many(8, "x".repeat(4_000));
  const left = bytes - JSON.stringify({ ...parameters, last: "" }).length;
  return { ...parameters, last: "x".repeat(left) };
}

test("parameters are taken at their limits and refused beyond", async (t) => {
  const api = await testApi(t);
  const taken = [many(MAX_PARAMETERS), { a: "x".repeat(MAX_PARAMETER_CHARACTERS) }, { ["n".repeat(63)]: "é" }];
  for (const parameters of [...taken, large(MAX_PARAMETERS_BYTES)]) {
    const { executionId } = await api.submit({ target: echo(), parameters });
    assert.deepEqual((await api.get(executionId)).parameters, parameters);
  }
  for (const [parameters, field, says] of [
    [many(MAX_PARAMETERS + 1), "parameters", /at most 64 entries; was 65/],
    [{ a: "x".repeat(MAX_PARAMETER_CHARACTERS + 1) }, 'parameters["a"]', /at most 4096 characters; was 4097/],
    [large(MAX_PARAMETERS_BYTES + 1), "parameters", /at most 32768 bytes as JSON, all together; was 32769/],
    [{ "": "" }, 'parameters[""]', /1 to 63 of/],
    [{ "a b": "" }, 'parameters["a b"]', /1 to 63 of/],
    [{ ["n".repeat(64)]: "" }, `parameters["${"n".repeat(64)}"]`, /1 to 63 of/],
    [{ a: "\0" }, 'parameters["a"]', /NUL/],
  ] as const) {
    for (const [prefix, call] of [
      ["", api.submit({ target: echo(), parameters })],
      ["job.", api.createJob({ jobId: "refused", target: echo(), parameters })],
    ] as const) {
      const faults = await faultsOf(call);
      assert.deepEqual(Object.keys(faults), [prefix + field]);
      assert.match(faults[prefix + field] ?? "", says);
    }
  }
  assert.equal(await api.storedCount(), 4);
});

test("RunJob puts its parameters over the job's; the execution shows both, and its target as it was given", async (t) => {
  const api = await testApi(t);
  const target = echo("{{parameters.a}}", "{{parameters.b}}");
  await api.createJob({ jobId: "j", target, parameters: { a: "1", b: "2" } });
  const plain = await api.runJob({ jobId: "j" });
  assert.deepEqual((await api.get(plain.executionId)).parameters, { a: "1", b: "2" });
  const over = await api.runJob({ jobId: "j", parameters: { b: "3", c: "4" } });
  const seen = await api.get(over.executionId);
  assert.deepEqual(seen.parameters, { a: "1", b: "3", c: "4" });
  assert.deepEqual(seen.target?.kind?.$case === "command" && seen.target.kind.value.args, [
    "{{parameters.a}}",
    "{{parameters.b}}",
  ]);
  assert.deepEqual((await api.getJob("j"))?.parameters, { a: "1", b: "2" });
  const full = await faultsOf(api.runJob({ jobId: "j", parameters: many(63) }));
  assert.match(full.parameters ?? "", /at most 64 entries; was 65/);
});

test("a value that is missing is refused where nobody can give it any more", async (t) => {
  const api = await testApi(t);
  const target = echo("{{parameters.day}}");
  const schedule = { when: { $case: "cron" as const, value: "0 4 * * *" } };
  const field = "target.command.args[0]";
  const says = /^{{parameters\.day}} at character 0 has no value/;
  assert.match((await faultsOf(api.submit({ target })))[field] ?? "", says);
  assert.match((await faultsOf(api.createJob({ jobId: "j", target, schedule })))[`job.${field}`] ?? "", says);
  await api.createJob({ jobId: "j", target });
  assert.match((await faultsOf(api.runJob({ jobId: "j" })))[field] ?? "", says);
  await api.runJob({ jobId: "j", parameters: { day: "today" } });
  // What would leave a schedule without a value, or a label without its name, is no change.
  assert.match((await faultsOf(api.updateJob({ jobId: "j", schedule }, ["schedule"])))[`job.${field}`] ?? "", says);
  await api.updateJob({ jobId: "j", schedule, parameters: { day: "today" } }, ["schedule", "parameters"]);
  assert.match((await faultsOf(api.updateJob({ jobId: "j" }, ["parameters"])))[`job.${field}`] ?? "", says);
  const labelled = echo("{{labels.team}}");
  assert.ok(`job.${field}` in (await faultsOf(api.createJob({ jobId: "k", target: labelled }))));
  await api.createJob({ jobId: "k", target: labelled, labels: { team: "data" } });
  assert.ok(`job.${field}` in (await faultsOf(api.updateJob({ jobId: "k" }, ["labels"]))));
  assert.ok(field in (await faultsOf(api.runJob({ jobId: "j", target: labelled }))), "labels are the job's");
  await api.runJob({ jobId: "k", target: echo("{{labels.team}} {{parameters.x}}"), parameters: { x: "" } });
});

test("what a target gets when it is filled in is checked before it is stored, at a job and at each run of it", async (t) => {
  const api = await testApi(t);
  await registerReport(api);
  const rows = { target: jsonHandler(REPORT, { rows: [{ amount: "{{parameters.amount}}" }] }) };
  const field = "target.handler.request_json";
  await api.createJob({ jobId: "j", ...rows });
  await api.runJob({ jobId: "j", parameters: { amount: "12" } });
  assert.match((await faultsOf(api.runJob({ jobId: "j", parameters: { amount: "many" } })))[field] ?? "", /amount/);
  assert.ok(field in (await faultsOf(api.submit({ ...rows, parameters: { amount: "many" } }))));
  await api.submit({ target: jsonHandler(REPORT, { rows: [{ amount: "{{attempt}}" }] }) });
  // Rule 28: 512 KiB, as long as its values can get.
  const parameters = { a: "x".repeat(MAX_PARAMETER_CHARACTERS) };
  const wide = (count: number) => echo(...Array.from({ length: count }, () => "{{parameters.a}}"));
  await api.submit({ target: wide(127), parameters });
  const tooWide = await faultsOf(api.submit({ target: wide(128), parameters }));
  assert.match(tooWide.target ?? "", /at most 524288 bytes when its templates are filled in/);
  const farTooWide = await faultsOf(api.submit({ target: wide(4_000), parameters }));
  assert.match(farTooWide["target.command.args[128]"] ?? "", /at most 524288 bytes when it is filled in/);
  await api.createJob({ jobId: "wide", target: wide(128) });
  assert.ok("target" in (await faultsOf(api.runJob({ jobId: "wide", parameters }))));
});

test("RetryExecution takes the parameters along, and the order of an attempt carries them", async (t) => {
  const api = await testApi(t);
  await api.createJob({ jobId: "j", target: echo("{{parameters.a}}"), parameters: { a: "1" } });
  const { executionId } = await api.runJob({ jobId: "j", parameters: { a: "2" } });
  await api.updateJob({ jobId: "j", parameters: { a: "3" } }, ["parameters"]);
  await api.executions.cancelExecution({ executionId, reason: "" });
  const { execution: again } = await api.executions.retryExecution({ executionId, requestId: "" });
  assert.deepEqual(again?.parameters, { a: "2" });
  const executor = await api.join("one", 2);
  await api.dispatcher.runOnce(new AbortController().signal);
  assert.deepEqual(
    executor.orders.map(({ key, parameters }) => [key.executionId, parameters]),
    [[again?.executionId, { a: "2" }]],
  );
});
