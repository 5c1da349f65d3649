/** Link-local and cloud metadata addresses are refused, in whatever clothes they come. */
import assert from "node:assert/strict";
import type { LookupAddress } from "node:dns";
import { test } from "node:test";
import {
  AddressGuard,
  ForbiddenAddressError,
  isForbiddenAddress,
} from "../../../services/executor/target/address-guard.ts";
import { failureOf, resultOf, run, start, targetServer } from "./setup.ts";

const guard = new AddressGuard({ allowMetadataAddresses: false });
const open = new AddressGuard({ allowMetadataAddresses: true });

function lookup(through: AddressGuard, host: string, all: boolean): Promise<string | readonly LookupAddress[]> {
  return new Promise((resolve, reject) => {
    through.lookup(host, { all }, (error, address) => (error === null ? resolve(address) : reject(error)));
  });
}

test("link-local networks and metadata services are refused, at both ends of each network", () => {
  const refused = [
    ["169.254.0.0", "169.254.169.254", "169.254.255.255", "100.100.100.200", "192.0.0.192", "168.63.129.16"],
    ["fe80::", "fe80::1%eth0", "febf:ffff::1", "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "fd00:42::42"],
  ].flat();
  for (const address of refused) assert.ok(isForbiddenAddress(address), address);
});

test("an IPv4 address inside an IPv6 one is the same address", () => {
  for (const address of [
    "::ffff:169.254.169.254",
    "::ffff:a9fe:a9fe",
    "0:0:0:0:0:FFFF:A9FE:A9FE",
    "::a9fe:a9fe",
    "64:ff9b::169.254.169.254",
    "64:ff9b::a9fe:1",
    "2002:a9fe:a9fe::1",
    "::ffff:100.100.100.200",
    "64:ff9b::6464:64c8",
  ]) {
    assert.ok(isForbiddenAddress(address), address);
  }
});

test("loopback, private and public networks are allowed, and so are the neighbours of what is refused", () => {
  const allowed = [
    ["127.0.0.1", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "93.184.216.34"],
    ["169.253.255.255", "169.255.0.0", "100.100.100.199", "100.100.100.201", "168.63.129.17", "192.0.0.193"],
    ["::", "::1", "fd00::1", "fd00:ec3::254", "fe7f::1", "fec0::1", "2001:db8::1", "::ffff:10.0.0.1"],
    ["64:ff9b::a00:1", "2002:a9fd::1", "localhost", ""],
  ].flat();
  for (const address of allowed) assert.ok(!isForbiddenAddress(address), address);
});

test("a host that is an address is checked as it stands, brackets or not", () => {
  for (const host of ["169.254.169.254", "[fe80::1]", "fe80::1", "[::ffff:a9fe:a9fe]"]) {
    assert.throws(() => guard.checkHost(host), ForbiddenAddressError);
    open.checkHost(host);
  }
  for (const host of ["127.0.0.1", "[::1]", "metadata.google.internal"]) guard.checkHost(host);
});

test("a lookup answers in the form that its socket asked for, without what is refused", async () => {
  assert.ok(["127.0.0.1", "::1"].includes(String(await lookup(guard, "localhost", false))));
  const all = await lookup(guard, "localhost", true);
  assert.ok(Array.isArray(all) && all.length > 0);
  for (const wantsAll of [true, false]) {
    await assert.rejects(lookup(guard, "169.254.169.254", wantsAll), { code: "TARGET_FORBIDDEN" });
    await assert.rejects(lookup(guard, "fe80::1", wantsAll), ForbiddenAddressError);
    await assert.rejects(lookup(guard, "no-such-host.invalid", wantsAll), /getaddrinfo/);
  }
  assert.equal(await lookup(open, "169.254.169.254", false), "169.254.169.254");
});

test("a target that names such an address fails, is not tried again, and nothing is connected to", async () => {
  for (const url of [
    "http://169.254.169.254/latest/meta-data/",
    "https://169.254.169.254/",
    "http://[fe80::1]/",
    "http://0xa9fea9fe/",
    "http://2852039166/",
    "http://169.254.43518/",
    "http://[::ffff:169.254.169.254]/",
    "http://100.100.100.200/",
  ]) {
    const { reason, nonRetryable, message } = failureOf(await run({ url }));
    assert.deepEqual([reason, nonRetryable], ["TARGET_FORBIDDEN", true], url);
    assert.match(message, /is a link-local or cloud metadata address, which targets may not reach here$/);
  }
});

test("loopback is reached by address and by name", async (t) => {
  const server = await targetServer(t, (_got, response) => response.end("here"));
  for (const url of [
    server.url,
    server.url.replace("127.0.0.1", "localhost"),
    server.url.replace("127.0.0.1", "127.1"),
  ]) {
    assert.equal(resultOf(await run({ url })).toString(), "here", url);
  }
});

test("the setting lets them be reached, and nothing else does", async () => {
  const url = "http://[fd00:42::42]:9/";
  const refused = await run({ url }, { guard });
  assert.equal(failureOf(refused).reason, "TARGET_FORBIDDEN");
  // No network of a test has such a machine: it is not there, or is still being looked for.
  const { attempt, ending } = start({ url }, { guard: open });
  setImmediate(() => attempt.stop({ kind: "timeout" }, 0));
  const { outcome } = await ending;
  assert.ok("failure" in outcome && ["TARGET_UNREACHABLE", "TIMEOUT"].includes(outcome.failure.reason));
});
