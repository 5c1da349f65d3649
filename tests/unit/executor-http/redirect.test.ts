/** Redirects: bounded, and followed only where the same work is done and no credential goes astray. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { AddressGuard } from "../../../services/executor/target/address-guard.ts";
import { selfSigned } from "../../support/self-signed.ts";
import { failureOf, resultOf, run, type TargetServer, targetServer } from "./setup.ts";
import { trust } from "./trust.ts";

/** A server that redirects by "/STATUS?LOCATION" and answers anything else with method and content. */
function redirecting(t: Parameters<typeof targetServer>[0]): Promise<TargetServer> {
  return targetServer(t, ({ path, method, body }, response) => {
    const [, status, location] = /^\/(3\d\d)(?:\?(.*))?$/.exec(path) ?? [];
    if (status === undefined) return void response.end(`${method} ${body}`);
    response.statusCode = Number(status);
    if (location !== undefined) response.setHeader("Location", decodeURIComponent(location));
    response.end("moved");
  });
}

const CONTENT = { $case: "text", value: "work" } as const;

test("307 and 308 repeat the request elsewhere; 301 and 302 do where it only reads", async (t) => {
  const server = await redirecting(t);
  for (const [status, method] of [
    [307, "POST"],
    [308, "PUT"],
    [307, "DELETE"],
  ] as const) {
    const ending = await run({ url: `${server.url}/${status}?/end`, method, content: CONTENT });
    assert.equal(resultOf(ending).toString(), `${method} work`);
    assert.equal(ending.stdout, `${method} work`, "nothing of the redirect itself");
    assert.equal(ending.stderr, `jobmesh: HTTP ${status} leads to ${server.url}\n`);
  }
  for (const status of [301, 302]) {
    assert.equal(resultOf(await run({ url: `${server.url}/${status}?/end`, method: "GET" })).toString(), "GET ");
  }
});

test("303 says that the request was carried out: what it leads to is read", async (t) => {
  const server = await redirecting(t);
  const headers = { "Content-Type": "text/plain", "X-Team": "data" };
  const ending = await run({ url: `${server.url}/303?/end`, headers, content: CONTENT });
  assert.equal(resultOf(ending).toString(), "GET ");
  const last = server.got.at(-1)?.headers;
  assert.deepEqual(
    [last?.["content-type"], last?.["content-length"], last?.["x-team"]],
    [undefined, undefined, "data"],
  );
  assert.equal((await run({ url: `${server.url}/303?/end`, method: "HEAD" })).outcome.kind, "succeeded");
  assert.equal(server.got.at(-1)?.method, "HEAD");
});

test("a redirect that would not do the same, or leads nowhere, is a failure with its status", async (t) => {
  const server = await redirecting(t);
  const refused: readonly (readonly [string, string, string, RegExp])[] = [
    ["POST", "301?/end", "http:301", /not followed: it would not repeat a POST$/],
    ["DELETE", "302?/end", "http:302", /would not repeat a DELETE$/],
    ["GET", "300?/end", "http:300", /names no one place$/],
    ["GET", "304", "http:304", /^HTTP 304 Not Modified/],
    ["GET", "307", "http:307", /has no Location$/],
    ["GET", "302?http://[", "http:302", /is no URL$/],
    ["GET", "302?ftp://127.0.0.1/", "http:302", /leads from http: to ftp:$/],
    ["GET", "302?file:///etc/passwd", "http:302", /leads from http: to file:$/],
  ];
  for (const [method, path, reason, says] of refused) {
    const ending = await run({ url: `${server.url}/${path}`, method });
    const failure = failureOf(ending);
    assert.equal(failure.reason, reason);
    assert.match(failure.message, says);
    assert.equal(failure.nonRetryable, false);
  }
});

test("five redirects are followed, a sixth is not", async (t) => {
  const server = await targetServer(t, ({ path }, response) => {
    const left = Number(path.slice(1));
    if (left === 0) return void response.end("there");
    response.writeHead(307, { Location: `/${left - 1}` }).end();
  });
  assert.equal(resultOf(await run({ url: `${server.url}/5` })).toString(), "there");
  assert.equal(server.got.length, 6);
  const { reason, message } = failureOf(await run({ url: `${server.url}/6` }));
  assert.deepEqual([reason, message], ["http:307", "HTTP 307 Temporary Redirect: more than 5 redirects"]);
  assert.equal(server.got.length, 12);
});

test("another origin sees who it is and what it gets, but no header that may be a credential", async (t) => {
  const other = await targetServer(t, (_got, response) => response.end("other"));
  const headers = {
    Authorization: "Bearer a",
    Cookie: "b=c",
    "X-Api-Key": "d",
    "Content-Type": "text/csv",
    Accept: "x/y",
  };
  for (const same of [false, true]) {
    const server = await targetServer(t, ({ path }, response) => {
      if (path === "/end") response.end("same");
      else response.writeHead(307, { Location: same ? "/end" : `http://u:p@${new URL(other.url).host}/end#f` }).end();
    });
    const ending = await run({ url: server.url, headers, content: CONTENT });
    assert.equal(resultOf(ending).toString(), same ? "same" : "other");
    const got = (same ? server : other).got.at(-1);
    const seen = got?.headers ?? {};
    assert.deepEqual([got?.path, got?.body, seen["content-type"], seen.accept], ["/end", "work", "text/csv", "x/y"]);
    assert.equal(seen["idempotency-key"], "00000000-0000-7000-8000-000000000007");
    const kept = same ? ["Bearer a", "b=c", "d"] : [undefined, undefined, undefined];
    assert.deepEqual([seen.authorization, seen.cookie, seen["x-api-key"]], kept);
  }
});

test("what went over TLS does not go on without it", async (t) => {
  const certificate = selfSigned();
  trust(t, certificate);
  const plain = await targetServer(t, (_got, response) => response.end("plain"));
  const secure = await targetServer(
    t,
    (_got, response) => response.writeHead(307, { Location: plain.url }).end(),
    certificate,
  );
  const { reason, message } = failureOf(await run({ url: secure.url }));
  assert.deepEqual(
    [reason, message],
    ["http:307", "HTTP 307 Temporary Redirect: not followed: it leads from https: to http:"],
  );
  assert.equal(plain.got.length, 0);
});

test("a redirect to a metadata address is refused, and not tried again", async (t) => {
  for (const place of [
    "http://169.254.169.254/latest/meta-data/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://2852039166/",
  ]) {
    const server = await targetServer(t, (_got, response) => response.writeHead(307, { Location: place }).end());
    const { reason, nonRetryable } = failureOf(await run({ url: server.url }));
    assert.deepEqual([reason, nonRetryable], ["TARGET_FORBIDDEN", true], place);
  }
});

test("a redirect to a name that leads to a metadata address is refused", async (t) => {
  const server = await targetServer(t, (_got, response) =>
    response.writeHead(307, { Location: "http://rebind.test/" }).end(),
  );
  const guard = rebindingGuard();
  const { reason, message } = failureOf(await run({ url: server.url }, { guard }));
  assert.equal(reason, "TARGET_FORBIDDEN");
  assert.match(message, /link-local or cloud metadata address/);
});

/** A guard in a network whose names all lead to the metadata service: names differ, the check is the real one. */
function rebindingGuard(): AddressGuard {
  const guard = new AddressGuard({ allowMetadataAddresses: false });
  const { lookup } = guard;
  const value: AddressGuard["lookup"] = (_host, options, done) => lookup("169.254.169.254", options, done);
  return Object.defineProperty(guard, "lookup", { value });
}
