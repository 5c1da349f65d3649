import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { EtcdClient } from "../../services/common/adapter/etcd/client.ts";
import { SystemClock } from "../../services/common/runtime/system-clock.ts";
import { SystemRandom } from "../../services/common/runtime/system-random.ts";
import { type Backends, startBackends } from "../support/backends.ts";
import { EtcdMesh } from "../support/etcd.ts";
import { MemberLog, memberOf } from "../support/registry.ts";

const TTL_MS = 3_000;
const clock = new SystemClock();
const random = new SystemRandom();
let backends: Backends;

before(async () => {
  backends = await startBackends({ etcd: true });
});
after(() => backends.stop());

function makeMesh(): EtcdMesh {
  return new EtcdMesh(...backends.etcdEndpoints);
}

test("a member is in etcd as etcd's own gRPC naming writes it, under a lease", async () => {
  await using mesh = makeMesh();
  const { registry } = await mesh.open();
  const member = { name: "billing", instance: "b-1", address: "10.0.0.1:7070", metadata: { zone: "a", version: "1" } };
  await registry.register(member, TTL_MS);
  const value = await mesh.etcdctl("get", "--print-value-only", mesh.key("billing", "b-1"));
  assert.equal(value, '{"Op":0,"Addr":"10.0.0.1:7070","Metadata":{"zone":"a","version":"1"}}');
  assert.equal(await mesh.etcdctl("get", "--keys-only", "--prefix", `${mesh.cluster}/`), mesh.key("billing", "b-1"));
  const leaseId = await leaseOf(mesh, mesh.key("billing", "b-1"));
  assert.match(await mesh.etcdctl("lease", "timetolive", leaseId), /granted with TTL\(3s\)/);
});

test("members that others put in etcd's naming are seen, without metadata and with metadata of any kind", async () => {
  await using mesh = makeMesh();
  const { registry } = await mesh.open();
  const log = new MemberLog(registry, "mail");
  await log.untilThere();
  await mesh.etcdctl("put", mesh.key("mail", "m:1"), '{"Op":0,"Addr":"m1.test:1","Metadata":null}');
  await mesh.etcdctl(
    "put",
    mesh.key("mail", "m:2"),
    '{"Addr":"m2.test:1","Metadata":{"weight":3,"tags":["x"],"on":true}}',
  );
  await mesh.etcdctl("put", mesh.key("mail", "m:3"), '{"Op":0,"Addr":"m3.test:1","Metadata":"text"}');
  await log.untilThere("m:1", "m:2", "m:3");
  assert.deepEqual(
    log.lists.at(-1)?.map(({ address, metadata }) => ({ address, metadata })),
    [
      { address: "m1.test:1", metadata: {} },
      { address: "m2.test:1", metadata: { weight: "3", tags: '["x"]', on: "true" } },
      { address: "m3.test:1", metadata: {} },
    ],
  );
});

test("a key that holds no member is passed over with one line, and seen once it holds one", async () => {
  await using mesh = makeMesh();
  const { registry, log: lines } = await mesh.open();
  const bad = ["", "{", "[]", "null", '"text"', "{}", '{"Addr":7}'];
  for (const [at, value] of bad.entries()) {
    const args = value === "" ? [""] : ["--", value];
    await mesh.etcdctl("put", mesh.key("mail", `bad-${at}`), ...args);
  }
  await registry.register(memberOf("mail", "good"), TTL_MS);
  const log = new MemberLog(registry, "mail");
  await log.untilThere("good");
  const passedOver = "a key that holds no member is passed over";
  assert.equal(lines.count(passedOver), bad.length);
  await mesh.etcdctl("put", mesh.key("mail", "bad-0"), '{"Op":0,"Addr":"was-bad.test:1"}');
  await log.untilThere("bad-0", "good");
  await mesh.etcdctl("put", mesh.key("mail", "bad-0"), "{");
  await log.untilThere("good");
  assert.equal(lines.count(passedOver), bad.length + 1);
});

test("rule 30: a key deleted by etcdctl is seen by every watcher, and is put again within a third of the lease", async (t) => {
  await using mesh = makeMesh();
  const [executor, one, two] = [await mesh.open(), await mesh.open(), await mesh.open()];
  const lease = await executor.registry.register(memberOf("executor", "e1"), TTL_MS);
  const logs = [new MemberLog(one.registry, "executor"), new MemberLog(two.registry, "executor")];
  await Promise.all(logs.map((log) => log.untilThere("e1")));
  const tookMs: number[] = [];
  for (let round = 0; round < 5; round += 1) {
    const gone = Promise.all(logs.map((log) => log.untilThere()));
    await mesh.etcdctl("del", mesh.key("executor", "e1"));
    await gone;
    await Promise.all(logs.map((log) => log.untilThere("e1")));
    for (const { toldMs } of logs) tookMs.push((toldMs.at(-1) ?? 0) - (toldMs.at(-2) ?? 0));
  }
  assert.ok(Math.max(...tookMs) <= TTL_MS / 3 + 500, `${tookMs}`);
  t.diagnostic(`etcdctl del to seen again, lease ${TTL_MS} ms: ${tookMs.map(Math.round).join(", ")} ms`);
  assert.equal(executor.log.count("the own key was missing in etcd"), 5);
  assert.ok((lease.lastKeptAliveMs() ?? 0) > clock.monotonicMs() - TTL_MS);
  for (const log of logs) log.assertLists();
});

test("rule 30: who watches its own name puts its deleted key again at once", async (t) => {
  await using mesh = makeMesh();
  const { registry } = await mesh.open();
  await registry.register(memberOf("scheduler", "s1"), 30_000);
  const log = new MemberLog(registry, "scheduler");
  await log.untilThere("s1");
  const gone = log.untilThere();
  await mesh.etcdctl("del", mesh.key("scheduler", "s1"));
  await gone;
  await log.untilThere("s1");
  const tookMs = (log.toldMs.at(-1) ?? 0) - (log.toldMs.at(-2) ?? 0);
  assert.ok(tookMs < 1_000, `${tookMs} ms`);
  t.diagnostic(`deleted to seen again by its own watch: ${tookMs.toFixed(1)} ms`);
});

test("rule 30: a lease that somebody revoked is replaced, its key overwritten is put back", async () => {
  await using mesh = makeMesh();
  const [executor, scheduler] = [await mesh.open(), await mesh.open()];
  await executor.registry.register(memberOf("executor", "e1"), TTL_MS);
  const log = new MemberLog(scheduler.registry, "executor");
  await log.untilThere("e1");
  const key = mesh.key("executor", "e1");
  const gone = log.untilThere();
  await mesh.etcdctl("lease", "revoke", await leaseOf(mesh, key));
  await gone;
  await log.untilThere("e1");
  await mesh.etcdctl("put", key, '{"Op":0,"Addr":"elsewhere.test:1"}');
  await log.until(([member]) => member?.address === "elsewhere.test:1");
  await log.until(([member]) => member?.address === "e1.test:7070");
});

test("a process killed by SIGKILL is gone from all views when its lease ends", async (t) => {
  await using mesh = makeMesh();
  const { registry } = await mesh.open();
  const log = new MemberLog(registry, "executor");
  const file = new URL("../support/etcd-member.ts", import.meta.url).pathname;
  const [endpoint = ""] = mesh.endpoints;
  const args = [file, endpoint, mesh.cluster, "executor", "e1", "2000"];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  await log.untilThere("e1");
  await once(child.stdout, "data");
  const killedMs = clock.monotonicMs();
  const closed = once(child, "close");
  child.kill("SIGKILL");
  await closed;
  await log.untilThere();
  const tookMs = (log.toldMs.at(-1) ?? 0) - killedMs;
  assert.ok(tookMs > 1_000 && tookMs < 2_000 + 1_500, `${tookMs} ms`);
  t.diagnostic(`SIGKILL to gone, lease 2000 ms: ${Math.round(tookMs)} ms`);
});

test("a watch that is to begin in compacted history is told so", async () => {
  await using mesh = makeMesh();
  for (let round = 0; round < 3; round += 1) await mesh.etcdctl("put", mesh.key("mail", "m"), `${round}`);
  const { header } = JSON.parse(await mesh.etcdctl("get", "-w", "json", "none"));
  await mesh.etcdctl("compact", String(header.revision));
  const client = new EtcdClient({ clock, random }, mesh.endpoints);
  const why = await new Promise<string>((resolve) => {
    client.watch(`${mesh.cluster}/mail/`, 1n, { onOpened: () => {}, onChanges: () => {}, onEnded: resolve });
  });
  client.close();
  assert.equal(why, `etcd has compacted the history to revision ${header.revision}`);
});

test("lists longer than a page are read whole, and a change beside them is not lost", async () => {
  await using mesh = makeMesh();
  const client = new EtcdClient({ clock, random }, mesh.endpoints);
  const leaseId = await client.grant(60);
  const instances = Array.from({ length: 2_100 }, (_, at) => `e${String(at).padStart(5, "0")}`);
  const put = (instance: string): Promise<void> =>
    client.put(mesh.key("executor", instance), '{"Op":0,"Addr":""}', leaseId);
  for (let at = 0; at < instances.length; at += 300) await Promise.all(instances.slice(at, at + 300).map(put));
  const { registry } = await mesh.open();
  const log = new MemberLog(registry, "executor");
  const beside = put("e99999");
  await log.until((members) => members.length === instances.length + 1);
  await beside;
  log.assertLists();
  await client.revoke(leaseId);
  await log.untilThere();
  client.close();
});

test("a change is seen by another process within milliseconds", async (t) => {
  await using mesh = makeMesh();
  const [one, two] = [await mesh.open(), await mesh.open()];
  const lease = await one.registry.register(memberOf("scheduler", "s1"), TTL_MS);
  const log = new MemberLog(two.registry, "scheduler");
  await log.untilThere("s1");
  const client = new EtcdClient({ clock, random }, mesh.endpoints);
  const leaseId = await client.grant(60);
  const [putMs, updateMs]: [number[], number[]] = [[], []];
  for (let round = 0; round < 200; round += 1) {
    const address = `put.test:${round}`;
    const startMs = clock.monotonicMs();
    const seen = log.until((members) => members.some((member) => member.address === address));
    await Promise.all([seen, client.put(mesh.key("scheduler", "s2"), `{"Op":0,"Addr":"${address}"}`, leaseId)]);
    putMs.push((log.toldMs.at(-1) ?? 0) - startMs);
  }
  for (let round = 0; round < 100; round += 1) {
    const startMs = clock.monotonicMs();
    const seen = log.until(([member]) => member?.metadata.round === String(round));
    await Promise.all([seen, lease.update({ address: "a.test:1", metadata: { round: String(round) } })]);
    updateMs.push((log.toldMs.at(-1) ?? 0) - startMs);
  }
  await client.revoke(leaseId);
  client.close();
  t.diagnostic(`put to watcher: ${quantiles(putMs)}; update to watcher: ${quantiles(updateMs)}`);
  assert.ok((putMs.toSorted((a, b) => a - b)[100] ?? 0) < 100);
});

/** Id of the lease that holds a key, as etcdctl has it: its JSON's number is too long for JSON.parse. */
async function leaseOf(mesh: EtcdMesh, key: string): Promise<string> {
  const [, id = "0"] = /"lease":(\d+)/.exec(await mesh.etcdctl("get", "-w", "json", key)) ?? [];
  return BigInt(id).toString(16);
}

function quantiles(samples: readonly number[]): string {
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (share: number): string => (sorted[Math.floor(sorted.length * share)] ?? 0).toFixed(1);
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`;
}
