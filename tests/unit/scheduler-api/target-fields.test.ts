import assert from "node:assert/strict";
import { test } from "node:test";
import { RenderRequest } from "../../../examples/report/gen/acme/report/v1/report_service.ts";
import { ExecutionView } from "../../../gen/jobmesh/v1/execution.ts";
import type { DeepPartial } from "../../../gen/jobmesh/v1/execution_service.ts";
import { type CommandTarget, Target } from "../../../gen/jobmesh/v1/job.ts";
import type { SubmissionInput } from "./calls.ts";
import { bytesHandler, errorOf, faultsOf, jsonHandler, REPORT, registerReport, testApi } from "./setup.ts";

function command(value: DeepPartial<CommandTarget>): SubmissionInput {
  return { target: { kind: { $case: "command", value: { command: "true", ...value } } } };
}

const KIB = 1024;
/** A secret, as a later version fills it in. */
const SECRET = ["$", "{secret:A}"].join("");

/** A command at its limit, one past it, the field and what the refusal says. */
const commandLimits: readonly (readonly [string, string, SubmissionInput, SubmissionInput, RegExp])[] = [
  [
    "line",
    "command",
    command({ command: "x".repeat(65_535) }),
    command({ command: "x".repeat(65_536) }),
    /at most 65535 bytes; was 65536/,
  ],
  [
    "line in bytes",
    "command",
    command({ command: "é".repeat(32_767) }),
    command({ command: "é".repeat(32_768) }),
    /was 65536/,
  ],
  ["empty line", "command", command({ command: "x" }), command({ command: "" }), /must not be empty/],
  ["line with NUL", "command", command({}), command({ command: "a\0b" }), /NUL/],
  [
    "args",
    "args",
    command({ args: Array(4_096).fill("") }),
    command({ args: Array(4_097).fill("") }),
    /at most 4096; was 4097/,
  ],
  ["arg with NUL", "args[1]", command({ args: ["a", "b"] }), command({ args: ["a", "b\0"] }), /NUL/],
  [
    "env name",
    'env["A B"]',
    command({ env: { _A9: "" } }),
    command({ env: { "A B": "" } }),
    /name must be \[A-Za-z_\]/,
  ],
  ["env name of digits", 'env["9A"]', command({ env: { A9: "" } }), command({ env: { "9A": "" } }), /name must be/],
  ["env value with NUL", 'env["A"]', command({ env: { A: "" } }), command({ env: { A: "\0" } }), /NUL/],
  [
    "env of ours",
    'env["JOBMESH_ATTEMPT"]',
    command({ env: { JOBMESH_SCHEDULER: "h:1" } }),
    command({ env: { JOBMESH_ATTEMPT: "9" } }),
    /jobmesh sets itself/,
  ],
  [
    "working_directory",
    "working_directory",
    command({ workingDirectory: "/tmp" }),
    command({ workingDirectory: "tmp" }),
    /absolute/,
  ],
  [
    "long working_directory",
    "working_directory",
    command({ workingDirectory: `/${"d".repeat(4_094)}` }),
    command({ workingDirectory: `/${"d".repeat(4_095)}` }),
    /at most 4095/,
  ],
  [
    "stdin",
    "stdin",
    command({ input: { $case: "stdin", value: Buffer.alloc(256 * KIB) } }),
    command({ input: { $case: "stdin", value: Buffer.alloc(256 * KIB + 1) } }),
    /at most 262144 bytes; was 262145/,
  ],
  [
    "stdin_text",
    "stdin_text",
    command({ input: { $case: "stdinText", value: "é".repeat(128 * KIB) } }),
    command({ input: { $case: "stdinText", value: `${"é".repeat(128 * KIB)}a` } }),
    /was 262145/,
  ],
];

test("each field of a command is taken at its limit, and one past it is refused by its name and limit", async (t) => {
  const api = await testApi(t);
  for (const [name, field, ok, bad, says] of commandLimits) {
    await t.test(name, async () => {
      await api.submit(ok);
      const faults = await faultsOf(api.submit(bad));
      assert.deepEqual(Object.keys(faults), [`target.command.${field}`]);
      assert.match(faults[`target.command.${field}`] ?? "", says);
    });
  }
});

test("rule 28: a target is taken at 512 KiB serialized, and refused with one byte more", async (t) => {
  const api = await testApi(t);
  const sizeOf = (pad: number) => Target.encode(Target.fromPartial(padded(pad).target ?? {})).finish().length;
  const padded = (pad: number) => command({ args: ["x".repeat(pad)] });
  const fit = 512 * KIB - (sizeOf(500_000) - 500_000);
  assert.equal(sizeOf(fit), 512 * KIB);
  const { executionId } = await api.submit(padded(fit));
  assert.equal((await api.get(executionId)).executionId, executionId);
  assert.match((await faultsOf(api.submit(padded(fit + 1)))).target ?? "", /at most 524288 bytes .* was 524289/);
});

test("a target is required and has one kind", async (t) => {
  const api = await testApi(t);
  const says = "must have a kind: command, handler, grpc or http";
  assert.equal((await faultsOf(api.submit({ target: undefined }))).target, says);
  assert.equal((await faultsOf(api.submit({ target: {} }))).target, says);
  const faults = await faultsOf(api.createJob({ jobId: "j", target: {} }));
  assert.deepEqual(faults, { "job.target": says });
});

test("a template that is none, has no value, or is a secret where others see it, is refused by field and place", async (t) => {
  const api = await testApi(t);
  await registerReport(api);
  const refused: readonly (readonly [string, SubmissionInput])[] = [
    [
      "target.command.args[1]: {{executionid}} at character 1 is no template",
      command({ args: ["a", "b{{executionid}}c"] }),
    ],
    ["target.command.args[0]: {{ attempt }} at character 0 is no template", command({ args: ["{{ attempt }}"] })],
    [`target.command.args[0]: ${SECRET} at character 1: a secret stands in env`, command({ args: [`-${SECRET}`] })],
    [
      'target.command.env["A"]: {{parameters.X}} at character 0 has no value',
      command({ env: { A: "{{parameters.X}}" } }),
    ],
    ['target.command.env["A"]: {{labels.X}} at character 2 has no value', command({ env: { A: "a-{{labels.X}}" } })],
    [
      'target.command.env["A"]: {{parameters.}} at character 0 is no template',
      command({ env: { A: "{{parameters.}}" } }),
    ],
    [
      'target.command.env["A"]: {{labels.__proto__}} at character 0 has no',
      command({ env: { A: "{{labels.__proto__}}" } }),
    ],
    [
      `target.command.env["A"]: \${secret:../a} at character 0: a secret's name`,
      command({ env: { A: SECRET.replace("A", "../a") } }),
    ],
    [
      `target.command.env["A"]: \${secret:..} at character 0: a secret's name`,
      command({ env: { A: SECRET.replace("A", "..") } }),
    ],
    [
      `target.command.env["A"]: \${secret:} at character 2: a secret's name`,
      command({ env: { A: `a ${SECRET.replace("}", "")}` } }),
    ],
    [
      'target.handler.request_json["title"]: {{attempts}} at character 0 is no template',
      { target: jsonHandler(REPORT, { title: "{{attempts}}" }) },
    ],
    [
      `target.handler.request_json["rows"][0]["name"]: ${SECRET} at character 0: a secret stands in env`,
      { target: jsonHandler(REPORT, { rows: [{ name: SECRET }] }) },
    ],
  ];
  for (const [says, submission] of refused) {
    const faults = Object.entries(await faultsOf(api.submit(submission))).map((fault) => fault.join(": "));
    assert.equal(faults.length, 1, faults.join("\n"));
    assert.ok(faults[0]?.startsWith(says), faults[0]);
  }
  assert.equal(await api.storedCount(), 0);
  const taken: readonly SubmissionInput[] = [
    command({ command: `echo {{attempt}} ${SECRET}` }),
    command({ args: ["{{", "}}", "{ {a} }", "$secret:"] }),
    command({ input: { $case: "stdinText", value: "{{attempt}}" } }),
    { target: jsonHandler(REPORT, { rows: [{ name: "{{" }] }) },
  ];
  for (const submission of taken) await api.submit(submission);
});

test("a text of braces alone is read in one pass", { timeout: 20_000 }, async (t) => {
  const api = await testApi(t);
  await registerReport(api);
  await api.submit(command({ args: ["{".repeat(400 * KIB)] }));
  await api.submit({ target: jsonHandler(REPORT, { title: "{".repeat(200 * KIB) }) });
});

test("a handler is known by its descriptor: another method is refused, before anything is stored", async (t) => {
  const api = await testApi(t);
  const field = "target.handler.method";
  const never = await faultsOf(api.submit({ target: jsonHandler(REPORT, {}) }));
  assert.match(never[field] ?? "", /no executor ever registered a handler acme\.report\.v1\.ReportService\/Render/);
  await registerReport(api);
  await api.submit({ target: jsonHandler(REPORT, { title: "T", rows: [{ name: "a", amount: "1" }] }) });
  const other = await faultsOf(api.submit({ target: jsonHandler("acme.report.v1.ReportService/Other", {}) }));
  assert.match(other[field] ?? "", /no executor ever registered/);
  for (const method of ["", "/acme.A/B", "A", "A/", "a b/C", `${"a".repeat(252)}.b/C`]) {
    assert.match((await faultsOf(api.submit({ target: jsonHandler(method, {}) })))[field] ?? "", /full method name/);
  }
  assert.equal(await api.storedCount(), 1);
});

test("a handler's request that does not fit names the field inside, in bytes and in JSON", async (t) => {
  const api = await testApi(t);
  await registerReport(api);
  const json: readonly (readonly [unknown, RegExp])[] = [
    [{ titel: "x" }, /key "titel" is unknown/],
    [{ title: 5 }, /RenderRequest\.title .* expected string, got 5/],
    [{ rows: [{ amount: "x" }] }, /Row\.amount/],
    [[], /cannot decode message acme\.report\.v1\.RenderRequest/],
    ["text", /RenderRequest/],
  ];
  for (const [value, says] of json) {
    const faults = await faultsOf(api.submit({ target: jsonHandler(REPORT, value) }));
    assert.match(faults["target.handler.request_json"] ?? "", says);
  }
  const rows = [
    { name: "a", amount: 1n },
    { name: "b", amount: 2n },
  ];
  const whole = RenderRequest.encode(RenderRequest.fromPartial({ title: "T", rows })).finish();
  await api.submit({ target: bytesHandler(REPORT, whole) });
  await api.submit({ target: bytesHandler(REPORT, new Uint8Array()) });
  const bytes: readonly (readonly [Uint8Array, RegExp])[] = [
    [whole.subarray(0, -1), /rows\[1\]: premature EOF/],
    [Uint8Array.of(0x08, 1), /title: is a varint where text/],
    [Uint8Array.of(0x0a, 1, 0xff), /title: is no UTF-8/],
    [Uint8Array.of(0x12, 2, 0x12, 0), /rows\[0\]\.amount/],
  ];
  for (const [value, says] of bytes) {
    const faults = await faultsOf(api.submit({ target: bytesHandler(REPORT, value) }));
    assert.match(faults["target.handler.request"] ?? "", says);
  }
  assert.equal(await api.storedCount(), 2);
});

test("a handler's request is taken at 256 KiB and refused beyond, in bytes and in JSON", async (t) => {
  const api = await testApi(t);
  await registerReport(api);
  const limit = 256 * KIB;
  const bytes = (size: number) =>
    RenderRequest.encode(RenderRequest.fromPartial({ title: "t".repeat(size - 4) })).finish();
  assert.equal(bytes(limit).length, limit);
  await api.submit({ target: bytesHandler(REPORT, bytes(limit)) });
  const faults = await faultsOf(api.submit({ target: bytesHandler(REPORT, bytes(limit + 1)) }));
  assert.match(faults["target.handler.request"] ?? "", /at most 262144 bytes; was 262145/);
  const json = (size: number) => ({ title: "t".repeat(size - JSON.stringify({ title: "" }).length) });
  await api.submit({ target: jsonHandler(REPORT, json(limit)) });
  const more = await faultsOf(api.submit({ target: jsonHandler(REPORT, json(limit + 1)) }));
  assert.match(more["target.handler.request_json"] ?? "", /at most 262144 bytes; was 262145/);
});

test("JSON deeper than messages may be is refused, and no internal error", async (t) => {
  const api = await testApi(t);
  await registerReport(api);
  const nested = (depth: number): unknown => (depth === 0 ? 1 : [nested(depth - 1)]);
  const deep = await faultsOf(api.submit({ target: jsonHandler(REPORT, nested(40)) }));
  assert.match(deep["target.handler.request_json"] ?? "", /does not fit/, "it is read, and is no such request");
  assert.equal((await errorOf(api.submit({ target: jsonHandler(REPORT, nested(2_000)) }))).reason, "MALFORMED_REQUEST");
});

test("BASIC shows what runs without args, env, input and payload; FULL shows all", async (t) => {
  const api = await testApi(t);
  await registerReport(api);
  const secret = command({ args: ["arg"], env: { A: "env" }, input: { $case: "stdinText", value: "stdin" } });
  const { executionId } = await api.submit(secret);
  const full = (await api.get(executionId)).target;
  assert.deepEqual(full, Target.fromPartial(secret.target ?? {}));
  const basic = (await api.get(executionId, ExecutionView.EXECUTION_VIEW_BASIC)).target;
  assert.deepEqual(basic, (await api.list()).executions[0]?.target, "one of a list shows the same");
  assert.ok(basic?.kind?.$case === "command");
  assert.deepEqual([basic.kind.value.env, basic.kind.value.input], [{}, undefined]);
  const handled = await api.submit({ target: jsonHandler(REPORT, { title: "T" }) });
  const shown = (await api.get(handled.executionId, ExecutionView.EXECUTION_VIEW_BASIC)).target;
  assert.deepEqual(shown, Target.fromPartial({ kind: { $case: "handler", value: { method: REPORT } } }));
});
