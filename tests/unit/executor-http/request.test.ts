/** What a server gets of an HTTP target. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { DeepPartial } from "../../../gen/jobmesh/v1/execution_service.ts";
import type { HttpTarget } from "../../../gen/jobmesh/v1/job.ts";
import { failureOf, resultOf, run, start, targetServer } from "./setup.ts";

const EXECUTION = "00000000-0000-7000-8000-000000000007";

/** A target, and the method, content and Content-Type that a server gets of it. */
const sent: readonly (readonly [string, DeepPartial<HttpTarget>, string, string, string | undefined])[] = [
  ["POST is the default", {}, "POST", "", undefined],
  ["GET", { method: "GET" }, "GET", "", undefined],
  ["text", { content: { $case: "text", value: "zäh\n" } }, "POST", "zäh\n", undefined],
  ["empty text", { content: { $case: "text", value: "" } }, "POST", "", undefined],
  ["bytes", { method: "PUT", content: { $case: "body", value: Buffer.from("raw") } }, "PUT", "raw", undefined],
  ["JSON", { content: { $case: "json", value: { a: [1, null] } } }, "POST", '{"a":[1,null]}', "application/json"],
  ["JSON null", { content: { $case: "json", value: null } }, "POST", "null", "application/json"],
  [
    "JSON of a type of its own",
    { headers: { "content-type": "application/cloudevents+json" }, content: { $case: "json", value: {} } },
    "POST",
    "{}",
    "application/cloudevents+json",
  ],
  ["DELETE with content", { method: "DELETE", content: { $case: "text", value: "all" } }, "DELETE", "all", undefined],
  ["PATCH", { method: "PATCH", content: { $case: "text", value: "x" } }, "PATCH", "x", undefined],
];

test("method, path, content and its type go out as the target has them", async (t) => {
  const server = await targetServer(t, (_got, response) => response.end("ok"));
  for (const [name, target, method, body, type] of sent) {
    const ending = await run({ ...target, url: `${server.url}/a%20b?q=1&q=ä` });
    assert.equal(resultOf(ending).toString(), "ok", name);
    const got = server.got.at(-1);
    assert.deepEqual([got?.method, got?.path, got?.body], [method, "/a%20b?q=1&q=%C3%A4", body], name);
    assert.equal(got?.headers["content-type"], type, name);
    const length = body === "" && method === "GET" ? undefined : String(Buffer.byteLength(body));
    assert.equal(got?.headers["content-length"], length, name);
    assert.equal(got?.headers["transfer-encoding"], undefined, name);
  }
});

test("a request tells who it is, whatever the target's own headers say", async (t) => {
  const server = await targetServer(t, (_got, response) => response.end());
  const { attempt, ending } = start({ url: server.url, headers: { "X-Team": "data", "jobmesh-attempt": "9" } });
  await ending;
  const headers = server.got[0]?.headers ?? {};
  const own = Object.entries(headers).filter(([name]) => /^(jobmesh-|idempotency-key|trace)/.test(name));
  assert.deepEqual(Object.fromEntries(own), {
    "idempotency-key": EXECUTION,
    "jobmesh-execution-id": EXECUTION,
    "jobmesh-attempt": "2",
    "jobmesh-max-attempts": "3",
    "jobmesh-namespace": "billing",
    "jobmesh-job-id": "nightly",
    "jobmesh-scheduled-time": "2030-01-02T03:04:05.678Z",
    "jobmesh-deadline": new Date(Math.floor(attempt.startUs / 1000 + 60_000)).toISOString(),
    traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    tracestate: "vendor=1",
  });
  assert.equal(headers["x-team"], "data");
  assert.equal(headers["user-agent"], "jobmesh/1.2.3");
});

test("what there is not is no header: a job, a trace", async (t) => {
  const server = await targetServer(t, (_got, response) => response.end());
  await run({ url: server.url }, { order: { jobId: "", traceparent: "", tracestate: "v=1" } });
  const headers = server.got[0]?.headers ?? {};
  assert.deepEqual(
    [headers["jobmesh-job-id"], headers.traceparent, headers.tracestate],
    [undefined, undefined, undefined],
  );
});

test("defaults give way to the target's headers", async (t) => {
  const server = await targetServer(t, (_got, response) => response.end());
  await run({ url: server.url, headers: { "user-agent": "mine", ACCEPT: "text/csv", "accept-encoding": "gzip" } });
  const { "user-agent": agent, accept, "accept-encoding": encoding } = server.got[0]?.headers ?? {};
  assert.deepEqual([agent, accept, encoding], ["mine", "text/csv", "gzip"]);
});

test("each request has a connection of its own: one that a server closes fails no other", async (t) => {
  const server = await targetServer(t, (got, response) => response.end(got.path, () => response.socket?.destroy()));
  const paths = Array.from({ length: 40 }, (_, index) => `/${index}`);
  const endings = await Promise.all(paths.map((path) => run({ url: server.url + path })));
  assert.deepEqual(
    endings.map((ending) => resultOf(ending).toString()),
    paths,
  );
  assert.equal(server.sockets.length, 40);
  assert.ok(server.got.every(({ headers }) => headers.connection === "close"));
});

test("a credential in so many words is sent, and the log says so without it", async (t) => {
  const server = await targetServer(t, (_got, response) => response.end("in"));
  const value = "Bearer swordfish";
  const ending = await run({ url: server.url, headers: { AUTHORIZATION: value, "X-Team": "data" } });
  assert.equal(server.got[0]?.headers.authorization, value);
  assert.equal(resultOf(ending).toString(), "in");
  assert.match(ending.stderr, /^jobmesh: the header AUTHORIZATION is given in so many words.*\n$/);
  assert.equal(ending.errorOutput, ending.stderr);
  assert.doesNotMatch(JSON.stringify(ending), /swordfish/);
  assert.equal((await run({ url: server.url, headers: { "X-Team": "data" } })).stderr, "");
});

test("an order that is no such target, or cannot be sent, fails and is not tried again", async () => {
  const command = { kind: "http", method: "", summary: "", bytes: new Uint8Array() } as const;
  const none = await run({}, { order: { target: command } });
  assert.deepEqual(failureOf(none), {
    reason: "TARGET_INVALID",
    nonRetryable: true,
    message: "the target is no HTTP request",
  });
  for (const target of [{ url: "nowhere" }, { url: "http://127.0.0.1:9/", headers: { "a b": "" } }]) {
    const { reason, nonRetryable } = failureOf(await run(target));
    assert.deepEqual([reason, nonRetryable], ["TARGET_INVALID", true]);
  }
});
