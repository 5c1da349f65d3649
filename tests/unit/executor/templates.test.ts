/** What is filled in at each attempt, over both ways; what cannot be ends the attempt before anything starts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ReportServiceService } from "../../../examples/report/gen/acme/report/v1/report_service.ts";
import { Target } from "../../../gen/jobmesh/v1/job.ts";
import type { DispatchOrder } from "../../../services/common/domain/dispatch.ts";
import { targetOfBytes } from "../../../services/common/wire/target-head.ts";
import { SecretFault, type SecretSource } from "../../../services/executor/secrets.ts";
import { FilledRunner, MAX_SECRETS } from "../../../services/executor/target/filled-runner.ts";
import type { TargetRunner } from "../../../services/executor/target-runner.ts";
import { type Rig, setup, WAYS } from "./setup.ts";

/** A reference to a secret, in two parts so that no linter takes it for a template literal. */
function secret(name: string): string {
  return ["$", `{secret:${name}}`].join("");
}

/** A runner that keeps what it was handed, and ends at once. */
function keeper(): { readonly runner: TargetRunner; readonly ran: Target[] } {
  const ran: Target[] = [];
  const runner: TargetRunner = {
    capability: { kind: "command" },
    keepsTimeout: false,
    run: (attempt) => {
      ran.push(Target.decode(attempt.target));
      const outcome = { kind: "succeeded", result: new Uint8Array() } as const;
      return { outcome, startUs: attempt.startUs, endUs: attempt.startUs, exitCode: 0, output: "", errorOutput: "" };
    },
  };
  return { runner, ran };
}

type Env = Readonly<Record<string, string>>;

function commandOf(env: Env, args: readonly string[] = []): DispatchOrder["target"] {
  const value = {
    command: "run {{attempt}}",
    args: [...args],
    env: { ...env },
    workingDirectory: "",
    input: undefined,
  };
  return targetOfBytes(Target.encode({ kind: { $case: "command", value } }).finish());
}

function envOf(target: Target | undefined): Env {
  assert.ok(target?.kind?.$case === "command");
  return target.kind.value.env;
}

/** Secrets that a test changes. */
function secretsOf(known: Map<string, string>): SecretSource {
  return {
    read: async (name) => known.get(name) ?? Promise.reject(new SecretFault(`the secret ${name} is unknown`)),
  };
}

async function ended(rig: Rig, parts: Partial<DispatchOrder>) {
  const order = await rig.dispatch(rig.order(parts));
  await rig.clock.settle();
  await rig.clock.advance(1_000);
  return rig.result(order.key);
}

for (const way of WAYS) {
  test(`by ${way}: each attempt is filled in by what it is; its order keeps the target as it was`, async (t) => {
    const known = new Map([["db", "swordfish"]]);
    const { runner, ran } = keeper();
    const secrets = secretsOf(known);
    const rig = await setup(t, { way, moreRunners: (clock) => [new FilledRunner(runner, { clock, secrets })] });
    const target = commandOf({ WHO: "{{labels.team}}/{{parameters.a}}/{{attempt}}", DB: `pw=${secret("db")}` }, [
      "{{execution_id}}",
    ]);
    const given = { target, labels: { team: "data" }, parameters: { a: secret("db") } };
    const first = await ended(rig, given);
    assert.equal(first.outcome.kind, "succeeded");
    // A parameter names no secret.
    assert.deepEqual(envOf(ran[0]), { WHO: `data/${secret("db")}/1`, DB: "pw=swordfish" });
    assert.ok(ran[0]?.kind?.$case === "command");
    assert.deepEqual([ran[0].kind.value.command, ran[0].kind.value.args], ["run {{attempt}}", [first.key.executionId]]);
    known.set("db", "marlin");
    await ended(rig, { ...given, key: rig.key({ attempt: 2 }) });
    assert.deepEqual(envOf(ran[1]), { WHO: `data/${secret("db")}/2`, DB: "pw=marlin" });
    assert.ok(!Buffer.from(target.bytes).includes("swordfish"));
  });

  test(`by ${way}: an unknown secret, or a template without a value, ends the attempt before anything starts`, async (t) => {
    const { runner, ran } = keeper();
    const secrets = secretsOf(new Map());
    const rig = await setup(t, { way, moreRunners: (clock) => [new FilledRunner(runner, { clock, secrets })] });
    const many = Object.fromEntries(Array.from({ length: MAX_SECRETS + 1 }, (_, at) => [`E${at}`, secret(`s${at}`)]));
    for (const [env, reason, nonRetryable, says] of [
      [
        { A: "", DB: `a ${secret("db")}` },
        "SECRET_UNAVAILABLE",
        false,
        'target.command.env["DB"]: the secret db is unknown',
      ],
      [
        { A: "{{parameters.b}}" },
        "TEMPLATE_INVALID",
        true,
        'target.command.env["A"]: {{parameters.b}} at character 0 has no value',
      ],
      [many, "TEMPLATE_INVALID", true, "the target names 65 secrets; at most 64 are read"],
    ] as const) {
      const { outcome, errorOutput } = await ended(rig, { target: commandOf(env), parameters: { a: "" } });
      assert.ok(outcome.kind === "failed");
      assert.deepEqual([outcome.failure.reason, outcome.nonRetryable], [reason, nonRetryable]);
      assert.ok(outcome.failure.message.startsWith(says), outcome.failure.message);
      assert.equal(errorOutput, outcome.failure.message);
    }
    assert.equal(ran.length, 0);
  });

  test(`by ${way}: an attempt that is stopped while its secrets are read starts nothing`, async (t) => {
    const { runner, ran } = keeper();
    const reading = Promise.withResolvers<string>();
    const secrets: SecretSource = { read: () => reading.promise };
    const rig = await setup(t, { way, moreRunners: (clock) => [new FilledRunner(runner, { clock, secrets })] });
    const order = await rig.dispatch(rig.order({ target: commandOf({ DB: secret("db") }) }));
    rig.homes.last.stop(order.key);
    await rig.clock.settle();
    reading.resolve("swordfish");
    await rig.clock.settle();
    await rig.clock.advance(1_000);
    assert.equal(rig.result(order.key).outcome.kind, "cancelled");
    assert.equal(ran.length, 0);
  });
}

test("a target names 64 secrets at most", async (t) => {
  const { runner, ran } = keeper();
  const known = new Map(Array.from({ length: MAX_SECRETS + 1 }, (_, at) => [`s${at}`, `v${at}`]));
  const secrets = secretsOf(known);
  const rig = await setup(t, { moreRunners: (clock) => [new FilledRunner(runner, { clock, secrets })] });
  const naming = (count: number): Env =>
    Object.fromEntries(
      [...known.keys()].slice(0, count).flatMap((name) => [
        [name, secret(name)],
        [`${name}b`, secret(name)],
      ]),
    );
  const most = await ended(rig, { target: commandOf(naming(MAX_SECRETS)) });
  assert.equal(most.outcome.kind, "succeeded");
  assert.deepEqual([envOf(ran[0]).s0, envOf(ran[0]).s63b], ["v0", "v63"]);
  const { outcome } = await ended(rig, { target: commandOf(naming(MAX_SECRETS + 1)) });
  assert.ok(outcome.kind === "failed");
  assert.equal(outcome.failure.message, "the target names 65 secrets; at most 64 are read");
  assert.equal(ran.length, 1);
});

test("a payload in JSON is filled in before its handler encodes it, and the context tells the parameters", async (t) => {
  const { path } = ReportServiceService.render;
  const said: unknown[] = [];
  const rig = await setup(t, {
    handler: { encodeJson: (json) => Buffer.from(JSON.stringify(json)) },
    work: (request, { parameters }) => {
      said.push(JSON.parse(request.toString()), parameters);
      return Buffer.alloc(0);
    },
    wrap: (inner, clock) => new FilledRunner(inner, { clock, secrets: secretsOf(new Map()) }),
  });
  const requestJson = { title: "{{parameters.a}}", rows: [{ name: `#{{attempt}}`, "{{attempt}}": 1 }], path };
  const value = { method: "test.Work/Do", payload: { $case: "requestJson" as const, value: requestJson } };
  const target = targetOfBytes(Target.encode({ kind: { $case: "handler", value } }).finish());
  const parameters = { a: 'quote " and \\' };
  await ended(rig, { target, parameters });
  assert.deepEqual(said, [{ title: parameters.a, rows: [{ name: "#1", "{{attempt}}": 1 }], path }, parameters]);
});

type Entries = Record<string, string>;

function grpcOf(metadata: Entries): DispatchOrder["target"] {
  const value = { address: "h:1", method: "a.B/C", payload: undefined, metadata, tls: undefined };
  return targetOfBytes(Target.encode({ kind: { $case: "grpc", value } }).finish());
}

function httpOf(url: string, headers: Entries): DispatchOrder["target"] {
  const value = { url, method: "", headers, content: undefined };
  return targetOfBytes(Target.encode({ kind: { $case: "http", value } }).finish());
}

test("what is filled in is measured as what is submitted: at its limit it runs, past it nothing starts, and no value is told", async (t) => {
  const known = new Map<string, string>();
  const { runner, ran } = keeper();
  const secrets = secretsOf(known);
  const kinds = ["grpc", "http"] as const;
  const rig = await setup(t, {
    moreRunners: (clock) =>
      kinds.map((kind) => new FilledRunner({ ...runner, capability: { kind } }, { clock, secrets })),
  });
  const url = "http://h/{{parameters.a}}";
  const [x, big] = ["xyz".repeat(3_000), secret("big")];
  for (const [target, most, field] of [
    [grpcOf({ a: big }), 6 * 1024 - 1, "target.grpc.metadata: must be at most 6144 bytes"],
    [httpOf("http://h/", { A: big }), 8 * 1024 - 1, "target.http.headers: must be at most 8192 bytes"],
    [httpOf(url, {}), 8_192 - "http://h/".length, "target.http.url: must be at most 8192 characters"],
  ] as const) {
    for (const extra of [0, 1]) {
      const value = x.slice(0, most + extra);
      known.set("big", value);
      const before = ran.length;
      const { outcome } = await ended(rig, { target, parameters: { a: value } });
      assert.equal(ran.length, before + 1 - extra);
      if (extra === 0) continue;
      assert.ok(outcome.kind === "failed");
      assert.deepEqual([outcome.failure.reason, outcome.nonRetryable], ["TEMPLATE_INVALID", true]);
      assert.ok(outcome.failure.message.startsWith(field), outcome.failure.message);
      assert.ok(!outcome.failure.message.includes("xyz"));
    }
  }
  known.set("big", "no base64!");
  const { outcome } = await ended(rig, { target: grpcOf({ "a-bin": big }) });
  assert.ok(outcome.kind === "failed");
  assert.equal(outcome.failure.message, 'target.grpc.metadata["a-bin"]: must be base64 when it is filled in');
});
