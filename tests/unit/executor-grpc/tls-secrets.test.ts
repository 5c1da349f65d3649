/** Certificates of a call's transport security that are secrets: read at each attempt, and told by their names alone. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SecretFault, type SecretSource } from "../../../services/executor/secrets.ts";
import { selfSigned } from "../../support/self-signed.ts";
import { failureOf, guard, setup, startServer, textOf } from "./setup.ts";

const server = selfSigned("billing.test");
const client = selfSigned("client.test");

function secretsOf(known: Readonly<Record<string, string>>): SecretSource {
  return {
    read: async (name) => known[name] ?? Promise.reject(new SecretFault(`the secret ${name} is unknown`)),
  };
}

test("a call trusts the authorities of its secret alone, and shows the certificate of its other one", async (t) => {
  const { address, calls } = await startServer(t, { tls: server, clientCa: client.cert });
  const known: Record<string, string> = { ca: server.cert, other: selfSigned("billing.test").cert };
  known.client = `${client.key}\n${client.cert}`;
  const { outcome } = setup(t, undefined, guard, secretsOf(known));
  const tls = { caSecret: "ca", clientSecret: "client", serverName: "billing.test" };
  assert.equal(textOf(await outcome({ address, tls })), ": 0");
  for (const wrong of [{ caSecret: "other" }, { caSecret: "" }, { clientSecret: "" }]) {
    assert.equal(failureOf(await outcome({ address, tls: { ...tls, ...wrong } })).reason, "grpc:UNAVAILABLE");
  }
  assert.equal(calls.length, 1);
  // A secret that was changed counts at the next attempt, on a connection of its own.
  known.ca = known.other ?? "";
  assert.equal(failureOf(await outcome({ address, tls })).reason, "grpc:UNAVAILABLE");
});

test("a secret that is not there, or holds no certificate and key, ends the attempt before anything is sent", async (t) => {
  const { address, calls } = await startServer(t, { tls: server });
  const known = {
    text: "swordfish",
    cert: client.cert,
    mixed: client.cert + server.key,
    key: client.key,
  };
  const { outcome } = setup(t, undefined, guard, secretsOf(known));
  for (const [tls, says] of [
    [{ caSecret: "gone" }, /^target\.grpc\.tls\.ca_secret: the secret gone is unknown$/],
    [{ clientSecret: "gone" }, /^target\.grpc\.tls\.client_secret: the secret gone is unknown$/],
    [{ caSecret: "text" }, /the secret text holds no certificates in PEM/],
    [{ clientSecret: "text" }, /the secret text holds no certificate in PEM/],
    [{ clientSecret: "key" }, /the secret key holds no certificate in PEM/],
    [{ clientSecret: "cert" }, /the secret cert holds no private key in PEM/],
    [{ clientSecret: "mixed" }, /the key of the secret mixed is not that of its first certificate/],
  ] as const) {
    const { reason, nonRetryable, message } = failureOf(await outcome({ address, tls }));
    assert.deepEqual([reason, nonRetryable], ["SECRET_UNAVAILABLE", false]);
    assert.match(message, says);
    assert.doesNotMatch(message, /swordfish|PRIVATE/);
  }
  assert.equal(calls.length, 0);
});
