/** HTTP targets at the API: every field at its limit and one past it, and what is stored. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ExecutionView } from "../../../gen/jobmesh/v1/execution.ts";
import type { DeepPartial } from "../../../gen/jobmesh/v1/execution_service.ts";
import { type HttpTarget, Target } from "../../../gen/jobmesh/v1/job.ts";
import type { SubmissionInput } from "./calls.ts";
import { faultsOf, testApi } from "./setup.ts";

const URL = "http://127.0.0.1/hook";
const KIB = 1024;
const SECRET = ["$", "{secret:A}"].join("");

function http(value: DeepPartial<HttpTarget>): SubmissionInput {
  return { target: { kind: { $case: "http", value: { url: URL, ...value } } } };
}

function url(value: string): SubmissionInput {
  return http({ url: value });
}

function headers(value: Readonly<Record<string, string>>): SubmissionInput {
  return http({ headers: value });
}

function many(count: number): Readonly<Record<string, string>> {
  return Object.fromEntries(Array.from({ length: count }, (_, index) => [`x-${index}`, ""]));
}

/** What is tried, the field, a target that is taken, one that is not, and what the refusal says. */
const limits: readonly (readonly [string, string, SubmissionInput, SubmissionInput, RegExp])[] = [
  ["scheme", "url", url("HTTPS://h/"), url("ftp://h/"), /absolute http or https URL/],
  ["no URL", "url", url("http://h"), url(""), /absolute http or https URL/],
  ["relative", "url", url("http://h/p"), url("/p"), /absolute/],
  ["no host", "url", url("http://h?q"), url("http://?q"), /absolute/],
  ["three slashes", "url", url("http://h/"), url("http:///h/"), /absolute/],
  ["port", "url", url("http://h:65535/"), url("http://h:65536/"), /absolute/],
  ["space", "url", url("http://h/a%20b"), url("http://h/a b"), /spaces and control characters escaped/],
  ["line end", "url", url("http://h/"), url("http://h/\r\nX: y"), /spaces and control characters/],
  ["backslash", "url", url("http://h/%5C"), url("http://h\\@g/"), /absolute/],
  ["IPv6", "url", url("http://[::1]:8080/"), url("http://[::1/"), /absolute/],
  ["user", "url", url("http://h/@"), url("http://u:p@h/"), /must not hold a user or password/],
  ["user alone", "url", url("http://h/"), url("http://u@h/"), /must not hold a user or password/],
  ["fragment", "url", url("http://h/%23"), url("http://h/#f"), /fragment/],
  ["empty fragment", "url", url("http://h/"), url("http://h/#"), /fragment/],
  [
    "long URL",
    "url",
    url(`http://h/${"p".repeat(8_192 - 9)}`),
    url(`http://h/${"p".repeat(8_192 - 8)}`),
    /at most 8192 characters; was 8193/,
  ],
  ["method", "method", http({ method: "PROPFIND" }), http({ method: "get" }), /1 to 32 of A-Z and -/],
  ["CONNECT", "method", http({ method: "OPTIONS" }), http({ method: "CONNECT" }), /not CONNECT or TRACE/],
  ["TRACE", "method", http({ method: "HEAD" }), http({ method: "TRACE" }), /not CONNECT or TRACE/],
  ["long method", "method", http({ method: "M".repeat(32) }), http({ method: "M".repeat(33) }), /1 to 32/],
  ["method of two lines", "method", http({ method: "M-SEARCH" }), http({ method: "GET\r\nX" }), /1 to 32/],
  ["headers", "headers", headers(many(64)), headers(many(65)), /at most 64; was 65/],
  [
    "bytes of headers",
    "headers",
    headers({ a: "v".repeat(8 * KIB - 1) }),
    headers({ a: "v".repeat(8 * KIB) }),
    /at most 8192 bytes, names and values together; was 8193/,
  ],
  ["header name", 'headers["X Y"]', headers({ "X-Y": "" }), headers({ "X Y": "" }), /HTTP token/],
  ["empty header name", 'headers[""]', headers({ "!#$%&'*+.^_`|~9aZ-": "" }), headers({ "": "" }), /HTTP token/],
  ["header value", 'headers["A"]', headers({ A: "\t ~!" }), headers({ A: "a\r\nB: c" }), /printable ASCII/],
  ["header value of Unicode", 'headers["A"]', headers({ A: "" }), headers({ A: "é" }), /printable ASCII/],
  ["Host", 'headers["HOST"]', headers({ "X-Host": "h" }), headers({ HOST: "h" }), /of the connection/],
  [
    "Content-Length",
    'headers["content-length"]',
    headers({ "content-type": "a/b" }),
    headers({ "content-length": "1" }),
    /of the connection/,
  ],
  [
    "Transfer-Encoding",
    'headers["Transfer-Encoding"]',
    headers({ "Content-Encoding": "gzip" }),
    headers({ "Transfer-Encoding": "chunked" }),
    /of the connection/,
  ],
  [
    "a header of ours",
    'headers["Jobmesh-Anything"]',
    headers({ Jobmesh: "x" }),
    headers({ "Jobmesh-Anything": "x" }),
    /jobmesh sets itself/,
  ],
  [
    "Idempotency-Key",
    'headers["idempotency-key"]',
    headers({ "x-idempotency-key": "x" }),
    headers({ "idempotency-key": "x" }),
    /jobmesh sets itself/,
  ],
  ["traceparent", 'headers["TraceParent"]', headers({ baggage: "a=b" }), headers({ TraceParent: "x" }), /sets itself/],
  ["twice", 'headers["x-a"]', headers({ "X-A": "1", "x-b": "2" }), headers({ "X-A": "1", "x-a": "2" }), /twice/],
  [
    "body",
    "body",
    http({ content: { $case: "body", value: Buffer.alloc(256 * KIB) } }),
    http({ content: { $case: "body", value: Buffer.alloc(256 * KIB + 1) } }),
    /at most 262144 bytes; was 262145/,
  ],
  [
    "text",
    "text",
    http({ content: { $case: "text", value: "é".repeat(128 * KIB) } }),
    http({ content: { $case: "text", value: `${"é".repeat(128 * KIB)}a` } }),
    /was 262145/,
  ],
  [
    "JSON",
    "json",
    http({ content: { $case: "json", value: "j".repeat(256 * KIB - 2) } }),
    http({ content: { $case: "json", value: "j".repeat(256 * KIB - 1) } }),
    /at most 262144 bytes; was 262145/,
  ],
  [
    "content of a GET",
    "text",
    http({ method: "DELETE", content: { $case: "text", value: "" } }),
    http({ method: "GET", content: { $case: "text", value: "" } }),
    /a GET request has no content/,
  ],
  [
    "content of a HEAD",
    "json",
    http({ method: "OPTIONS", content: { $case: "json", value: 1 } }),
    http({ method: "HEAD", content: { $case: "json", value: 1 } }),
    /a HEAD request has no content/,
  ],
];

test("each field of an HTTP target is taken at its limit, and one past it is refused by its name and limit", async (t) => {
  const api = await testApi(t);
  for (const [name, field, ok, bad, says] of limits) {
    await t.test(name, async () => {
      await api.submit(ok);
      const before = await api.storedCount();
      const faults = await faultsOf(api.submit(bad));
      assert.deepEqual(Object.keys(faults), [`target.http.${field}`]);
      assert.match(faults[`target.http.${field}`] ?? "", says);
      assert.equal(await api.storedCount(), before);
    });
  }
});

test("a job's target is checked in the same way, and every fault of it is told at once", async (t) => {
  const api = await testApi(t);
  const target = http({ url: "x", method: "get", headers: { Host: "h", "a b": "\n" } }).target;
  assert.deepEqual(Object.keys(await faultsOf(api.createJob({ jobId: "j", target }))), [
    "job.target.http.url",
    "job.target.http.method",
    'job.target.http.headers["Host"]',
    'job.target.http.headers["a b"]',
  ]);
});

test("a template at fault in URL, headers or JSON is refused by field and place; text and bytes hold none", async (t) => {
  const api = await testApi(t);
  const up = { parameters: { up: ".." } };
  const long = { parameters: { a: "a".repeat(4_096), b: "b".repeat(4_096) } };
  for (const [field, says, submission] of [
    ["target.http.url", /^{{id}} at character 9 is no template/, url("http://h/{{id}}")],
    [
      "target.http.url",
      /at character 11: a secret stands in env, headers and metadata alone/,
      url(`http://h/?a${SECRET}`),
    ],
    [
      "target.http.url",
      /{{parameters\.up}} at character 11 must not be "\.\." in a URL/,
      { ...url("http://h/a/{{parameters.up}}"), ...up },
    ],
    [
      "target.http.url",
      /at most 8192 characters; was 8202/,
      { ...url("http://h/{{parameters.a}}/{{parameters.b}}"), ...long },
    ],
    [
      'target.http.headers["A"]',
      /must be printable ASCII/,
      { ...headers({ A: "{{parameters.a}}" }), parameters: { a: "\n" } },
    ],
    ["target.http.headers", /at most 8192 bytes/, { ...headers({ A: "{{parameters.a}}{{parameters.b}}" }), ...long }],
    ['target.http.json["a"][0]', /is no template/, http({ content: { $case: "json", value: { a: ["{{attemp}}"] } } })],
  ] as const) {
    const faults = await faultsOf(api.submit(submission));
    assert.deepEqual(Object.keys(faults), [field]);
    assert.match(faults[field] ?? "", says);
  }
  const known = url("https://{{labels.region}}.example.com/{{execution_id}}?attempt={{attempt}}");
  await api.submit({ ...known, labels: { region: "eu" } });
  await api.submit(headers({ A: SECRET }));
  await api.submit(http({ content: { $case: "text", value: `{{attempt}} ${SECRET}` } }));
  await api.submit(http({ content: { $case: "body", value: Buffer.from("{{attempt}}") } }));
});

test("FULL shows an HTTP target as it was given, BASIC its URL alone", async (t) => {
  const api = await testApi(t);
  const given = http({ method: "PUT", headers: { b: "2", a: "1" }, content: { $case: "json", value: { k: "v" } } });
  const { executionId } = await api.submit(given);
  assert.deepEqual((await api.get(executionId)).target, Target.fromPartial(given.target ?? {}));
  const basic = (await api.get(executionId, ExecutionView.EXECUTION_VIEW_BASIC)).target;
  assert.deepEqual(basic, Target.fromPartial(url(URL).target ?? {}));
});

test("the same headers in another order are the same request", async (t) => {
  const api = await testApi(t);
  const first = await api.submit({ ...headers({ a: "1", b: "2" }), requestId: "r" });
  const again = await api.submit({ ...headers({ b: "2", a: "1" }), requestId: "r" });
  assert.equal(again.executionId, first.executionId);
});
