/** The metrics of a process need what its gRPC services need; its probes need nothing. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { request as plainRequest, type RequestOptions } from "node:http";
import { request as tlsRequest } from "node:https";
import { after, test } from "node:test";
import { HttpServer } from "../../../services/common/runtime/http-server.ts";
import { silentLogger } from "../../../services/common/runtime/log.ts";
import type { ListenerSecurity } from "../../../services/common/security/link-security.ts";
import { Secret } from "../../../services/common/security/secret.ts";
import { type Certificate, TestAuthority } from "../../support/certificates.ts";

const TOKEN = "a-token-for-the-metrics";
const authority = new TestAuthority({ after });
const stranger = new TestAuthority({ after });
const own = authority.issue();
const foreign = stranger.issue();
const expired = authority.issue({ days: -1 });
const identity = { cert: own.cert, key: new Secret(own.key) };

type Caller = { readonly token?: string; readonly certificate?: Certificate; readonly ca?: string };

async function serve(security: ListenerSecurity) {
  const server = new HttpServer(
    { log: silentLogger, renderMetrics: () => Promise.resolve("up 1\n"), readiness: () => ({ store: true }) },
    { listen: "127.0.0.1:0", security },
  );
  const { address } = await server.start();
  return {
    address,
    /** Status of a GET, and its text. */
    get: (path: string, caller: Caller = {}) => get(address, path, security.tls !== null, caller),
    [Symbol.asyncDispose]: () => server.stop(),
  };
}

async function get(address: string, path: string, byTls: boolean, caller: Caller): Promise<[number, string]> {
  const [host, port] = address.split(":");
  const headers = caller.token === undefined ? {} : { authorization: `Bearer ${caller.token}` };
  const options: RequestOptions = { host, port, path, headers, agent: false };
  const { cert, key } = caller.certificate ?? {};
  const sent = byTls
    ? tlsRequest({ ...options, ca: caller.ca ?? authority.ca, ...(cert === undefined ? {} : { cert, key }) })
    : plainRequest(options);
  sent.end();
  const [response] = await once(sent, "response");
  let text = "";
  for await (const piece of response) text += String(piece);
  return [response.statusCode, text];
}

const probes = ["/healthz", "/readyz"];

for (const tls of [null, { identity, clientCa: null }]) {
  test(`metrics need the token ${tls === null ? "in clear text" : "over TLS"}, probes do not`, async () => {
    await using http = await serve({ tls, tokens: [new Secret(TOKEN)] });
    for (const token of [undefined, "another-token-altogether", `${TOKEN}x`, ""]) {
      const [status, text] = await http.get("/metrics", token === undefined ? {} : { token });
      assert.deepEqual([status, text], [401, "the call has no valid token in its authorization metadata\n"]);
    }
    assert.deepEqual(await http.get("/metrics", { token: TOKEN }), [200, "up 1\n"]);
    for (const path of probes) assert.equal((await http.get(path))[0], 200);
  });
}

test("where client certificates are required, metrics need one of the right authority; probes need none", async () => {
  await using http = await serve({ tls: { identity, clientCa: authority.ca }, tokens: [] });
  for (const certificate of [undefined, foreign, expired]) {
    const caller = certificate === undefined ? {} : { certificate };
    assert.equal((await http.get("/metrics", caller))[0], 403);
    for (const path of probes) assert.equal((await http.get(path, caller))[0], 200);
  }
  assert.deepEqual(await http.get("/metrics", { certificate: own }), [200, "up 1\n"]);
  await using both = await serve({ tls: { identity, clientCa: authority.ca }, tokens: [new Secret(TOKEN)] });
  assert.equal((await both.get("/metrics", { certificate: own }))[0], 401);
  assert.equal((await both.get("/metrics", { token: TOKEN }))[0], 403);
  assert.equal((await both.get("/metrics", { certificate: own, token: TOKEN }))[0], 200);
});

test("a caller that trusts another authority, or speaks clear text, gets nothing", async () => {
  await using http = await serve({ tls: { identity, clientCa: null }, tokens: [] });
  await assert.rejects(http.get("/metrics", { ca: stranger.ca }), /certificate/);
  await assert.rejects(get(http.address, "/metrics", false, {}), /hang up|ECONNRESET/);
});
