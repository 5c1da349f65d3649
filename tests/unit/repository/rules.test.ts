/** Each rule of the repository test is shown a breach, so that none of them passes by finding nothing. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { findLayerBreaches } from "./layer-rules.ts";
import { sourceFile } from "./source-file.ts";
import { findDeadPaths, findTextBreaches, findUndocumented, textRules } from "./text-rules.ts";

const layerBreaches: Record<string, [path: string, specifier: string]> = {
  "domain imports a port": ["services/common/domain/job.ts", "../port/store.ts"],
  "domain imports node:fs": ["services/common/domain/job.ts", "node:fs"],
  "domain outside schedule imports cron-parser": ["services/common/domain/job.ts", "cron-parser"],
  "port imports gen": ["services/common/port/bus.ts", "../../../gen/jobmesh/v1/event.ts"],
  "store adapter imports rpc": ["services/common/adapter/mysql/store.ts", "../../rpc/status.ts"],
  "etcd adapter imports memory's": ["services/common/adapter/etcd/registry.ts", "../memory/registry.ts"],
  "loop imports a vendor": ["services/scheduler/dispatch/dispatcher.ts", "kafkajs"],
  "vendor by a subpath": ["services/scheduler/dispatch/dispatcher.ts", "mysql2/promise"],
  "SDK of OpenTelemetry in a loop": ["services/scheduler/main.ts", "@opentelemetry/sdk-trace-node"],
  "package without a home": ["services/scheduler/main.ts", "lodash"],
  "scheduler imports executor": ["services/scheduler/main.ts", "../executor/slots.ts"],
  "common imports scheduler": ["services/common/rpc/server.ts", "../../scheduler/main.ts"],
  "product imports tests": ["services/cli/main.ts", "../../tests/support/clock.ts"],
};

for (const [name, [path, specifier]] of Object.entries(layerBreaches)) {
  test(`a layer breach is found: ${name}`, () => {
    const forms = [`import { a } from "${specifier}";`, `import {\n  a,\n  b,\n} from "${specifier}";`];
    forms.push(`export * from "${specifier}";`, `const a = await import("${specifier}");`, `import "${specifier}";`);
    for (const form of forms) {
      const findings = findLayerBreaches(sourceFile(path, `// first\n${form}\n`));
      assert.equal(findings.length, 1, form);
      assert.match(findings[0] ?? "", new RegExp(`^${path}:${form.split("\n").length + 1}: `));
    }
  });
}

test("what the layers allow is allowed", () => {
  const allowed: [string, string][] = [
    ["services/common/domain/schedule/cron.ts", "cron-parser"],
    ["services/common/domain/route.ts", "node:crypto"],
    ["services/common/port/store.ts", "../domain/job.ts"],
    ["services/common/adapter/mysql/store.ts", "../sql/statement.ts"],
    ["services/common/adapter/kafka/bus.ts", "kafkajs"],
    ["services/cli/dev.ts", "../scheduler/main.ts"],
    ["tests/integration/kafka.test.ts", "kafkajs"],
  ];
  for (const [path, specifier] of allowed) {
    assert.deepEqual(findLayerBreaches(sourceFile(path, `import { a } from "${specifier}";`)), []);
  }
});

/** A breach of each text rule, written in two parts so that this file is not one. */
const samples: Record<string, [path: string, text: string]> = {
  "time comes from the Clock that is handed in": ["services/scheduler/a.ts", "const t = Date.now();"],
  "timers come from the Clock that is handed in": ["services/scheduler/a.ts", "setTimeout(f, 1);"],
  "randomness comes from the Random that is handed in": ["services/scheduler/a.ts", "const r = Math.random();"],
  "only a main ends the process": ["services/scheduler/a.ts", "process.exit(1);"],
  "only the command line prints": ["services/scheduler/a.ts", "console.error(1);"],
  "nothing is left for later in the text": ["services/scheduler/a.ts", `// ${"TO"}DO`],
  "no type is switched off": ["services/scheduler/a.ts", "const a = b as any;"],
  "no check is silenced": ["services/scheduler/a.ts", "// @ts-ignore"],
  "every test runs": ["tests/unit/a.test.ts", 'test.skip("a", f);'],
  "no test sleeps": ["tests/unit/a.test.ts", 'import { setTimeout as sleep } from "node:timers/promises";'],
  "no path of one machine is written down": ["services/scheduler/a.ts", `const a = "/${"ho"}me/x";`],
};

for (const rule of textRules) {
  test(`a breach is found: ${rule.name}`, () => {
    const [path, text] = samples[rule.name] ?? assert.fail("the rule has no sample here");
    const findings = findTextBreaches(rule, sourceFile(path, `\n${text}\n`));
    assert.equal(findings.length, 1);
    assert.ok(findings[0]?.startsWith(`${path}:2: `) && findings[0].endsWith(rule.instead), findings[0]);
    if (rule.inWholeText) return;
    const quoted = sourceFile(path, `// ${text.replaceAll('"', "'")}\nconst a = \`${text} \${b("}")} ${text}\`;\n`);
    assert.deepEqual(findTextBreaches(rule, quoted), [], "comments and strings are no breach");
  });
}

test("code inside a template's hole, and after a regular expression, is code", () => {
  const [rule] = textRules;
  assert.ok(rule);
  const inHole = sourceFile(
    "services/a.ts",
    ["const a = `x $", "{Date.now()} y`;\nconst q = /[\"'`/]/.test(s) || Date.now();"].join(""),
  );
  assert.equal(findTextBreaches(rule, inHole).length, 2);
});

test("an export without a doc comment is found, one with it and an overload are not", () => {
  const text =
    "/** A. */\nexport interface A {}\nexport const b = 1;\n/** C. */\nexport function c(): void;\nexport function c(): void {}\n";
  assert.deepEqual(
    findUndocumented(sourceFile("services/a.ts", text)).map((finding) => finding.split(": ")[0]),
    ["services/a.ts:3"],
  );
});

test("a dead path of a page is found, a live one and a pattern are not", () => {
  const text = "See `services/none.ts`, [here](gone.md), `package.json`, `tests/unit/repository/` and `proto/*.proto`.";
  assert.deepEqual(
    findDeadPaths({ path: "README.md", text }).map((finding) => finding.split(" ")[1]),
    ["services/none.ts", "gone.md"],
  );
});
