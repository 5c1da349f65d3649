import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { MemoryRegistry } from "../../../services/common/adapter/memory/registry.ts";
import { registerNameSource } from "../../../services/common/rpc/name-resolver.ts";
import { registryNames } from "../../../services/common/rpc/registry-names.ts";
import { AddressGuard } from "../../../services/executor/target/address-guard.ts";
import { selfSigned } from "../../support/self-signed.ts";
import { bytesRequest, clock, failureOf, guard, setup, startServer, textOf } from "./setup.ts";

const SAYS = /is a link-local or cloud metadata address, which targets may not reach here$/;
const open = new AddressGuard({ allowMetadataAddresses: true });
const json = { $case: "requestJson", value: { title: "March" } } as const;

/** A guard that takes 127.0.0.2 for refused, so that a test can listen there and see that nobody comes. */
class LoopbackGuard extends AddressGuard {
  override checkHost(host: string, name = host): void {
    super.checkHost(host === "127.0.0.2" ? "169.254.169.254" : host, name);
  }
}

/** Servers under the name etcd:///reports. */
async function registered(t: TestContext, ...addresses: readonly string[]) {
  const registry = new MemoryRegistry(clock);
  t.after(() => registry.stop());
  t.after(registerNameSource(registryNames(registry)));
  for (const [index, address] of addresses.entries()) {
    await registry.register({ name: "reports", instance: `i${index}`, address, metadata: {} }, 3_000);
  }
}

for (const [address, named] of [
  ["169.254.169.254:80", "169.254.169.254"],
  ["dns:///169.254.169.254:80", "169.254.169.254"],
  ["[fd00:ec2::254]:80", "fd00:ec2::254"],
  ["[::ffff:a9fe:a9fe]:80", "::ffff:a9fe:a9fe"],
  ["2852039166:80", "2852039166"],
  ["dns:///0xa9fea9fe:80", "0xa9fea9fe"],
] as const) {
  test(`a call of ${address} is forbidden, each time, and is not tried again`, async (t) => {
    const { outcome } = setup(t);
    for (const target of [{ address }, { address }, { address, payload: json }, { address, tls: {} }]) {
      const { reason, nonRetryable, message } = failureOf(await outcome(target));
      assert.deepEqual([reason, nonRetryable], ["TARGET_FORBIDDEN", true], message);
      assert.ok(message.startsWith(`${named} `), message);
      assert.match(message, SAYS);
    }
  });
}

for (const member of ["169.254.169.254:80", "[fe80::1]:80", "2852039166:80"]) {
  test(`a name of the mesh under which ${member} is registered is forbidden, reflection too`, async (t) => {
    await registered(t, member);
    const { outcome } = setup(t);
    for (const target of [{ payload: bytesRequest("March") }, { payload: json }]) {
      const { reason, nonRetryable, message } = failureOf(await outcome({ address: "etcd:///reports", ...target }));
      assert.deepEqual([reason, nonRetryable], ["TARGET_FORBIDDEN", true], message);
      assert.match(message, SAYS);
    }
  });
}

test("a name of the mesh leads to its other members where some are forbidden", async (t) => {
  const server = await startServer(t);
  await registered(t, "169.254.169.254:80", server.address, "2852039166:80");
  const { outcome } = setup(t);
  for (let call = 0; call < 4; call++) {
    assert.equal(textOf(await outcome({ address: "etcd:///reports", payload: bytesRequest("March") })), "March: 0");
  }
  server.stop();
  // Nobody is there, which may change: that others are forbidden is not why.
  const { reason, nonRetryable } = failureOf(await outcome({ address: "etcd:///reports" }));
  assert.deepEqual([reason, nonRetryable], ["grpc:UNAVAILABLE", false]);
});

test("nothing is connected to, neither by a call nor by reflection, though a server listens there", async (t) => {
  const server = await startServer(t, { reflection: ["v1"], host: "127.0.0.2" });
  const { outcome } = setup(t, undefined, new LoopbackGuard({ allowMetadataAddresses: false }));
  for (const payload of [bytesRequest("March"), json]) {
    assert.equal(failureOf(await outcome({ address: server.address, payload })).reason, "TARGET_FORBIDDEN");
  }
  assert.deepEqual([server.calls.length, server.reflected.length], [0, 0]);
  const allowed = setup(t, undefined, new LoopbackGuard({ allowMetadataAddresses: true }));
  assert.equal(textOf(await allowed.outcome({ address: server.address, payload: json })), "March: 0");
});

test("the setting lets them be reached", async (t) => {
  const { start } = setup(t, undefined, open);
  // No network of a test has such a machine: it is not there, or is still being looked for.
  const { ended } = start({ address: "[fd00:42::42]:9" }, { timeoutMs: 50 });
  const { outcome } = await ended;
  assert.notEqual(outcome.kind, "succeeded");
  if (outcome.kind === "failed") assert.equal(outcome.failure.reason, "grpc:UNAVAILABLE");
});

test("loopback is reached by address, by name, under dns: and in IPv6's clothes", async (t) => {
  const { port } = await startServer(t);
  const { outcome } = setup(t);
  for (const host of ["127.0.0.1", "dns:///127.0.0.1", "localhost", "127.1", "[::ffff:127.0.0.1]"]) {
    const text = textOf(await outcome({ address: `${host}:${port}`, payload: bytesRequest("March") }));
    assert.equal(text, "March: 0", host);
  }
});

test("a path of the executor's machine is no address", async (t) => {
  const { outcome } = setup(t);
  assert.equal(failureOf(await outcome({ address: "unix:/tmp/any.sock" })).reason, "grpc:UNAVAILABLE");
});

/** Sets a variable of this process for the test. */
function setVariable(t: TestContext, name: string, value: string): void {
  const before = process.env[name];
  process.env[name] = value;
  t.after(() => {
    if (before === undefined) delete process.env[name];
    else process.env[name] = before;
  });
}

test("no proxy of the environment is asked: it would connect to what the executor may not", async (t) => {
  const server = await startServer(t);
  // Nothing listens at port 1: a call by the proxy would fail.
  setVariable(t, "grpc_proxy", "http://127.0.0.1:1");
  setVariable(t, "no_grpc_proxy", "none.test");
  const { outcome } = setup(t);
  assert.equal(textOf(await outcome({ address: server.address })), ": 0");
  assert.equal(failureOf(await outcome({ address: "169.254.169.254:80" })).reason, "TARGET_FORBIDDEN");
});

test("a foreign certificate is refused whatever NODE_TLS_REJECT_UNAUTHORIZED says", async (t) => {
  const server = await startServer(t, { tls: selfSigned("billing.test") });
  setVariable(t, "NODE_TLS_REJECT_UNAUTHORIZED", "0");
  const { outcome } = setup(t);
  const { reason } = failureOf(await outcome({ address: server.address, tls: { serverName: "billing.test" } }));
  assert.equal(reason, "grpc:UNAVAILABLE");
  assert.equal(server.calls.length, 0);
});

test("a credential in so many words is sent, and the log says so without it", async (t) => {
  const server = await startServer(t);
  const { start } = setup(t);
  const value = "Bearer swordfish";
  const { ended, writes } = start({ address: server.address, metadata: { authorization: value, "x-team": "data" } });
  const ending = await ended;
  assert.equal(textOf(ending.outcome), ": 0");
  assert.deepEqual(server.calls[0]?.metadata.get("authorization"), [value]);
  const log = writes.map(({ stream, data }) => `${stream} ${Buffer.from(data)}`).join("");
  assert.match(log, /^STDERR jobmesh: the metadata authorization is given in so many words.*\n$/);
  assert.equal(`STDERR ${ending.errorOutput}`, log);
  assert.doesNotMatch(JSON.stringify(ending) + log, /swordfish/);
  const plain = start({ address: server.address, metadata: { "x-team": "data" } });
  assert.equal((await plain.ended).errorOutput, "");
  assert.deepEqual(plain.writes, []);
});

test("a failure is said behind the warning", async (t) => {
  const { start } = setup(t);
  const { ended } = start({ address: "169.254.169.254:80", metadata: { "proxy-authorization": "Basic swordfish" } });
  const { errorOutput } = await ended;
  assert.match(errorOutput, /^jobmesh: the metadata proxy-authorization .*\n169\.254\.169\.254 is a link-local/);
  assert.throws(() => guard.checkHost("169.254.169.254", "billing"), /^ForbiddenAddressError: billing is/);
});
