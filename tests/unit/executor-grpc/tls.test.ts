import assert from "node:assert/strict";
import { test } from "node:test";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { selfSigned } from "../../support/self-signed.ts";
import { failureOf, setup, startServer, textOf } from "./setup.ts";

// The authorities of this process, as NODE_EXTRA_CA_CERTS or the operating system would add them.
const trusted = selfSigned("billing.test");
setDefaultCACertificates([...getCACertificates("default"), trusted.cert]);

test("with tls a certificate of the system's authorities is taken, for the name that the target gives", async (t) => {
  const server = await startServer(t, { tls: trusted });
  const { outcome } = setup(t);
  assert.equal(textOf(await outcome({ address: server.address, tls: { serverName: "billing.test" } })), ": 0");
});

test("a certificate for another name, of another authority, or none at all, is UNAVAILABLE and says why", async (t) => {
  const { outcome } = setup(t);
  const known = await startServer(t, { tls: trusted });
  const foreign = await startServer(t, { tls: selfSigned("billing.test") });
  const plain = await startServer(t);
  const tries = [
    [known, { serverName: "orders.test" }, /orders\.test|altnames/i],
    [known, {}, /127\.0\.0\.1|altnames|certificate/i],
    [foreign, { serverName: "billing.test" }, /self-signed|certificate/i],
    [plain, { serverName: "billing.test" }, /./],
  ] as const;
  for (const [server, tls, says] of tries) {
    const { reason, message, nonRetryable } = failureOf(await outcome({ address: server.address, tls }));
    assert.deepEqual([reason, nonRetryable], ["grpc:UNAVAILABLE", false]);
    assert.match(message, says);
    assert.equal(server.calls.length, 0);
  }
});

test("without tls a server that wants it is UNAVAILABLE", async (t) => {
  const server = await startServer(t, { tls: trusted });
  const { outcome } = setup(t);
  assert.equal(failureOf(await outcome({ address: server.address })).reason, "grpc:UNAVAILABLE");
});
