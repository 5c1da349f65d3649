/** Templates of a target's texts: what is one, what it becomes where, and what it may not become. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { mergedParameters } from "../../../services/common/domain/parameter.ts";
import { MAX_TARGET_BYTES } from "../../../services/common/domain/target.ts";
import {
  isSecretName,
  mayHoldTemplate,
  type TemplateValues,
  templateParts,
} from "../../../services/common/domain/template.ts";
import { TemplateFault, TextFiller, type TextKind } from "../../../services/common/domain/text-filler.ts";
import { queryCredentials } from "../../../services/common/domain/url-credential.ts";

const values: TemplateValues = {
  executionId: "018f0000-0000-7000-8000-00000000000a",
  attempt: 3,
  scheduledUs: Date.UTC(2031, 1, 3, 23, 5, 6, 789) * 1_000,
  shardIndex: 1,
  shardCount: 4,
  parameters: { a: "x", empty: "", sly: `{{attempt}} ${["$", "{secret:A}"].join("")}`, way: "a/b?c=d&e f", up: ".." },
  labels: { team: "data", "": "none" },
};

/** A reference to the secret A, in two parts so that no linter takes it for a template literal. */
const SECRET = ["$", "{secret:A}"].join("");

function filler(parts: Partial<TemplateValues> = {}): TextFiller {
  return new TextFiller({ values: { ...values, ...parts }, secretOf: (name) => `<${name}>` });
}

function fill(text: string, kind: TextKind = "env"): string {
  return filler().fill(text, kind);
}

function faultOf(text: string, kind: TextKind = "env"): string {
  try {
    fill(text, kind);
  } catch (fault) {
    assert.ok(fault instanceof TemplateFault);
    return fault.message;
  }
  return assert.fail(`${text} was filled in`);
}

test("each name of the contract is filled in", () => {
  const filled: Readonly<Record<string, string>> = {
    "{{scheduled_time}}": "2031-02-03T23:05:06.789Z",
    "{{scheduled_date}}": "2031-02-03",
    "{{execution_id}}": values.executionId,
    "{{attempt}}": "3",
    "{{shard_index}}/{{shard_count}}": "1/4",
    "{{parameters.a}}{{parameters.empty}}{{parameters.a}}": "xx",
    "a {{labels.team}} b": "a data b",
  };
  for (const [text, wanted] of Object.entries(filled)) assert.equal(fill(text), wanted);
});

test("what is filled in is never read again: no parameter is a template, or names a secret", () => {
  assert.equal(fill("{{parameters.sly}}"), values.parameters.sly);
  assert.equal(
    filler({ parameters: { a: "{{", b: "}}" } }).fill("{{parameters.a}}attempt{{parameters.b}}", "env"),
    "{{attempt}}",
  );
});

test("a secret is filled in where others do not see it, and nowhere else", () => {
  for (const kind of ["env", "header", "metadata"] as const)
    assert.equal(fill(`Bearer ${SECRET}!`, kind), "Bearer <A>!");
  for (const kind of ["arg", "url", "json"] as const)
    assert.match(faultOf(SECRET, kind), /env, headers and metadata alone/);
});

test("names that are none, or have no value, are told with their place", () => {
  assert.match(faultOf("ab{{nonsense}}"), /^{{nonsense}} at character 2 is no template; there are scheduled_time/);
  assert.match(faultOf("{{}}"), /^{{}} at character 0 is no template/);
  assert.match(faultOf("{{ attempt }}"), /no template/);
  assert.match(faultOf("{{parameters.b}}"), /at character 0 has no value/);
  for (const name of ["toString", "__proto__", "constructor"]) {
    assert.match(faultOf(`{{parameters.${name}}}`), /has no value/);
    assert.match(faultOf(`{{labels.${name}}}`), /has no value/);
  }
  assert.match(faultOf(`{{${"n".repeat(1_000)}}}`), /^{{n{64}…}} at character 0 is no template/);
});

test("a value in a URL stays in its segment: it ends none, begins no query, and climbs no path", () => {
  assert.equal(
    fill("http://h/{{parameters.way}}?a={{parameters.way}}", "url"),
    "http://h/a%2Fb%3Fc%3Dd%26e%20f?a=a%2Fb%3Fc%3Dd%26e%20f",
  );
  assert.match(faultOf("http://h/a/{{parameters.up}}/b", "url"), /must not be "\.\." in a URL/);
  assert.equal(fill("{{parameters.way}}", "json"), values.parameters.way);
});

test("values that are empty make no segment of a URL that climbs", () => {
  const fill = (text: string, kind: TextKind = "url") => filler().fill(text, kind);
  const climbing = [
    "http://h/a/{{parameters.empty}}.{{parameters.empty}}/b",
    "http://h/a/.{{parameters.empty}}.",
    "http://h/a\\{{parameters.empty}}..?q",
    "http://h/a/%2E{{parameters.empty}}%2e#f",
  ];
  for (const text of climbing) assert.throws(() => fill(text), /segment "[.%2Ee]+" when it is filled in/, text);
  assert.equal(fill("http://h/a/../{{parameters.empty}}x"), "http://h/a/../x", "what the text has itself is its own");
  assert.equal(
    fill("http://h/{{parameters.a}}..?q=/{{parameters.empty}}../"),
    "http://h/x..?q=/../",
    "a query climbs not",
  );
  assert.equal(fill(".{{parameters.empty}}", "arg"), ".");
});

test("a value cannot break a header or end an argument", () => {
  const broken = filler({ parameters: { a: "x\r\nX-Admin: 1", b: "\0" } });
  for (const kind of ["header", "metadata"] as const) {
    assert.throws(() => broken.fill("{{parameters.a}}", kind), /printable ASCII/);
  }
  for (const kind of ["env", "arg"] as const) assert.throws(() => broken.fill("{{parameters.b}}", kind), /NUL/);
});

test("braces that nothing closes are text; a secret that nothing closes is refused", () => {
  for (const text of ["{{", "}}", "{{attempt}", "a {{ b", "{ {a} }", "$secret:", "{secret:A}"])
    assert.equal(fill(text), text);
  assert.match(faultOf(SECRET.slice(0, -1)), /a secret's name is/);
  assert.equal(mayHoldTemplate("{ { $a}"), false);
  assert.equal(mayHoldTemplate(Buffer.from(`x${SECRET}`)), true);
  assert.equal(mayHoldTemplate(new Uint8Array(Buffer.from("a{{"))), true);
});

test("the pieces of a text put together are the text again", () => {
  for (const text of [
    "",
    "a",
    "{{a}}b{{c}}",
    `{{a}}${SECRET}{{b}}`,
    `${SECRET}{{a${SECRET}}}`,
    "{{{a}}}",
    "{{a{{b}}",
  ]) {
    const again = templateParts(text).map((part) => {
      if (part.kind === "text") return part.text;
      return part.kind === "value" ? `{{${part.name}}}` : SECRET.replace("A", part.name);
    });
    assert.equal(again.join(""), text);
  }
});

test("names of secrets stay in their folder", () => {
  for (const name of ["a", "A_b-c.d", "..a", ".netrc", "a".repeat(128)]) assert.ok(isSecretName(name), name);
  for (const name of ["", ".", "..", "a/b", "../a", "a\\b", "a b", "a\0", "é", "a".repeat(129)]) {
    assert.ok(!isSecretName(name), name);
  }
});

test("reading costs as much as a text is long, whatever braces it holds", () => {
  const long = 400_000;
  const steps = (text: string): number => {
    const before = process.hrtime.bigint();
    templateParts(text);
    return Number(process.hrtime.bigint() - before) / 1e6;
  };
  const evil = ["{", "{{a", SECRET.slice(0, -1), "{{}}", `{{${SECRET}`, "}"].map((part) =>
    part.repeat(long / part.length),
  );
  // One that grows with the square of its length takes minutes here, and a pass some milliseconds.
  for (const text of evil) assert.ok(steps(text) < 5_000, text.slice(0, 12));
});

test("texts get no longer than a target may be, all together", () => {
  const large = { parameters: { a: "x".repeat(4_096) } };
  const many = "{{parameters.a}}".repeat(MAX_TARGET_BYTES / 4_096);
  assert.equal(filler(large).fill(many, "env").length, MAX_TARGET_BYTES);
  assert.throws(() => filler(large).fill(`${many}{{attempt}}`, "env"), /at most 524288 bytes when it is filled in/);
  const two = filler(large);
  two.fill(many, "env");
  assert.throws(() => two.fill("{{attempt}}", "env"), TemplateFault);
});

test("given parameters replace the usual ones of their names, in one order", () => {
  assert.equal(mergedParameters(null, {}), null);
  assert.deepEqual(Object.entries(mergedParameters({ b: "1", a: "2" }, { b: "3", c: "" }) ?? {}), [
    ["a", "2"],
    ["b", "3"],
    ["c", ""],
  ]);
});

test("credentials in a URL's query are known by their names", () => {
  assert.deepEqual(queryCredentials("https://h/?access_token=a&page=2&API-Key=b&X-Amz-Signature=c#?token=d"), [
    "access_token",
    "API-Key",
    "X-Amz-Signature",
  ]);
  for (const url of ["https://h/token/secret", "https://h/?page=2&tokens=3&token=", "https://h/#?token=a"]) {
    assert.deepEqual(queryCredentials(url), []);
  }
});

test("of a URL with many credentials 16 are told, each by 64 characters of its name", () => {
  const names = Array.from({ length: 17 }, (_, at) => `${"-".repeat(at)}token`);
  const url = `https://h/?${names.map((name) => `${name}=x`).join("&")}`;
  assert.deepEqual(queryCredentials(url), names.slice(0, 16));
  assert.deepEqual(queryCredentials(`https://h/?${"_".repeat(60)}token=x`), [`${"_".repeat(60)}toke`]);
});

test("a fault shows 64 characters of a name", () => {
  const name = `parameters.${"n".repeat(53)}`;
  assert.equal(name.length, 64);
  assert.throws(() => filler({}).fill(`{{${name}}}`, "env"), { message: new RegExp(`^\\{\\{${name}\\}\\} at`) });
  assert.throws(() => filler({}).fill(`{{${name}m}}`, "env"), { message: new RegExp(`^\\{\\{${name}…\\}\\} at`) });
});
