import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { EtcdClient } from "../../services/common/adapter/etcd/client.ts";
import { SystemClock } from "../../services/common/runtime/system-clock.ts";
import { SystemRandom } from "../../services/common/runtime/system-random.ts";
import { EtcdServer } from "../support/backends.ts";
import { EtcdMesh, Relay, reached } from "../support/etcd.ts";
import { MemberLog, memberOf } from "../support/registry.ts";

const TTL_MS = 2_000;
/** Within this an outage is known. */
const KNOWN_MS = 3_000;
/** What the log says of it. */
const AWAY = "etcd is away; the last view of its members stands";
const clock = new SystemClock();

async function startServer(t: TestContext): Promise<EtcdServer> {
  const server = new EtcdServer();
  t.after(() => server.dispose());
  await server.start();
  return server;
}

test("etcd killed and started again: the view stands, members return, the watch goes on", async (t) => {
  const server = await startServer(t);
  await using mesh = new EtcdMesh(server.endpoint);
  const [one, two] = [await mesh.open(), await mesh.open()];
  await one.registry.register(memberOf("scheduler", "s1"), TTL_MS);
  const log = new MemberLog(two.registry, "scheduler");
  await log.untilThere("s1");
  assert.deepEqual(two.registry.health(), { healthy: true, message: "" });
  for (let outage = 0; outage < 2; outage += 1) {
    await server.kill();
    // The broken watch tells first: an etcd that is there again before it was asked in vain was not away.
    const isKnown = (): boolean => !two.registry.health().healthy && two.log.count(AWAY) === outage + 1;
    const knownMs = await reached("an outage", KNOWN_MS, isKnown);
    const { message } = two.registry.health();
    assert.ok(message.includes(server.endpoint) && /UNAVAILABLE/.test(message), message);
    const update = one.registry.register(memberOf("scheduler", `s${outage + 2}`), TTL_MS);
    await server.start();
    const backMs = await reached("the return", 5_000, () => two.registry.health().healthy);
    t.diagnostic(`outage known after ${Math.round(knownMs)} ms, back ${Math.round(backMs)} ms after etcd`);
    await update;
    await log.untilThere(...["s1", "s2", "s3"].slice(0, outage + 2));
  }
  assert.ok(log.lists.length <= 4, "the view did not stand");
  assert.equal(two.log.count(AWAY), 2);
  assert.equal(two.log.count("etcd is back"), 2);
  assert.ok(one.log.lines.length < 15, "an outage fills the log");
});

test("rule 16: while etcd hangs no keep-alive counts; after the lease its member is put again", async (t) => {
  const server = await startServer(t);
  await using mesh = new EtcdMesh(server.endpoint);
  const [one, two] = [await mesh.open(), await mesh.open()];
  const lease = await one.registry.register(memberOf("executor", "e1"), TTL_MS);
  const log = new MemberLog(two.registry, "executor");
  await log.untilThere("e1");
  const firstMs = lease.lastKeptAliveMs() ?? 0;
  await reached("a keep-alive", TTL_MS, () => (lease.lastKeptAliveMs() ?? 0) > firstMs);
  server.pause();
  const pausedMs = clock.monotonicMs();
  const knownMs = await reached("an outage", KNOWN_MS, () => !two.registry.health().healthy);
  t.diagnostic(`a hang known after ${Math.round(knownMs)} ms`);
  await clock.sleep(TTL_MS + 1_500 - (clock.monotonicMs() - pausedMs));
  const keptAliveMs = lease.lastKeptAliveMs() ?? 0;
  assert.ok(keptAliveMs <= pausedMs, "a keep-alive counted that etcd has not answered");
  assert.equal(log.lists.length, 1, "the view did not stand");
  server.resume();
  await reached("a keep-alive", 5_000, () => (lease.lastKeptAliveMs() ?? 0) > pausedMs);
  await reached("the return", 5_000, () => two.registry.health().healthy);
  await log.untilThere("e1");
  const value = await mesh.etcdctl("get", "--print-value-only", mesh.key("executor", "e1"));
  assert.equal(value, '{"Op":0,"Addr":"e1.test:7070","Metadata":{}}');
});

for (const fault of ["refuses", "hangs"] as const) {
  test(`of two endpoints one ${fault}: members are put and seen by the other, and health stands`, async (t) => {
    const [bad, good] = [await startServer(t), await startServer(t)];
    await using mesh = new EtcdMesh(bad.endpoint, good.endpoint);
    if (fault === "hangs") bad.pause();
    else await bad.kill();
    for (let process = 0; process < 2; process += 1) {
      const [one, two] = [await mesh.open(), await mesh.open()];
      const log = new MemberLog(two.registry, "scheduler");
      const lease = await one.registry.register(memberOf("scheduler", `s${process}`), TTL_MS);
      const startMs = clock.monotonicMs();
      await log.until((members) => members.some(({ instance }) => instance === `s${process}`));
      await lease.update({ address: "new.test:1", metadata: {} });
      await log.until((members) => members.some(({ address }) => address === "new.test:1"));
      t.diagnostic(`seen and changed after ${Math.round(clock.monotonicMs() - startMs)} ms`);
      await reached("health", KNOWN_MS, () => two.registry.health().healthy);
      const keptMs = lease.lastKeptAliveMs() ?? 0;
      await reached("a keep-alive", TTL_MS * 2, () => (lease.lastKeptAliveMs() ?? 0) > keptMs);
      assert.equal(two.log.count(AWAY), 0);
      await lease.revoke();
    }
  });
}

test("of two endpoints one hangs: a keep-alive that goes to it first is answered by the other", async (t) => {
  const [bad, good] = [await startServer(t), await startServer(t)];
  const firstOfAll = Object.assign(new SystemRandom(), { unit: () => 0 });
  const client = new EtcdClient({ clock, random: firstOfAll }, [bad.endpoint, good.endpoint]);
  t.after(() => client.close());
  const granter = new EtcdClient({ clock, random: firstOfAll }, [good.endpoint]);
  t.after(() => granter.close());
  const leaseId = await granter.grant(TTL_MS / 1_000);
  bad.pause();
  const startMs = clock.monotonicMs();
  await client.keepAlive(leaseId);
  const firstMs = clock.monotonicMs() - startMs;
  for (let round = 0; round < 20; round += 1) await client.keepAlive(leaseId);
  const othersMs = clock.monotonicMs() - startMs - firstMs;
  t.diagnostic(`the first ${Math.round(firstMs)} ms, twenty more ${Math.round(othersMs)} ms`);
  assert.ok(firstMs < TTL_MS, `${firstMs} ms`);
  assert.ok(othersMs < TTL_MS, "the endpoint that hangs was asked first again");
});

test("a stop while etcd hangs ends within its bound", async (t) => {
  const server = await startServer(t);
  await using mesh = new EtcdMesh(server.endpoint);
  const { registry } = await mesh.open();
  await registry.register(memberOf("scheduler", "s1"), TTL_MS);
  const log = new MemberLog(registry, "scheduler");
  await log.untilThere("s1");
  server.pause();
  const startMs = clock.monotonicMs();
  await registry.stop();
  const tookMs = clock.monotonicMs() - startMs;
  assert.ok(tookMs < 4_500, `${tookMs} ms`);
  t.diagnostic(`stop while etcd hangs: ${Math.round(tookMs)} ms`);
  assert.equal(registry.health().healthy, false);
});

test("without etcd a start, a register and a stop neither fail nor hang; all is made up when etcd comes", async (t) => {
  const server = await startServer(t);
  await server.kill();
  await using mesh = new EtcdMesh(server.endpoint);
  const { registry } = mesh.make();
  assert.equal(registry.health().healthy, false);
  const startMs = clock.monotonicMs();
  await registry.start();
  assert.match(registry.health().message, /^etcd at http:.*: ./);
  const log = new MemberLog(registry, "scheduler");
  const lease = await registry.register(memberOf("scheduler", "s1"), TTL_MS);
  assert.ok(clock.monotonicMs() - startMs < 5_000);
  assert.equal(lease.lastKeptAliveMs(), null);
  await lease.update({ address: "late.test:1", metadata: {} });
  assert.equal(log.lists.length, 0);
  const never = mesh.make();
  await never.registry.start();
  await (await never.registry.register(memberOf("scheduler", "s2"), TTL_MS)).revoke();
  await never.registry.stop();
  await server.start();
  await log.untilThere("s1");
  await log.until(([member]) => member?.address === "late.test:1");
  await reached("health", KNOWN_MS, () => registry.health().healthy);
  await reached("a keep-alive", KNOWN_MS, () => lease.lastKeptAliveMs() !== null);
});

test("rule 30: an etcd that has lost everything is filled again, and the watch follows it to its lower revisions", async (t) => {
  const [first, second] = [await startServer(t), await startServer(t)];
  const relay = new Relay();
  await relay.start(first.endpoint);
  t.after(() => relay.stop());
  await using mesh = new EtcdMesh(relay.endpoint);
  const [one, two, watcher] = [await mesh.open(), await mesh.open(), await mesh.open()];
  await one.registry.register(memberOf("scheduler", "s1"), TTL_MS);
  await two.registry.register(memberOf("scheduler", "s2"), TTL_MS);
  const executor = await two.registry.register(memberOf("executor", "e1"), TTL_MS);
  const logs = [new MemberLog(watcher.registry, "scheduler"), new MemberLog(watcher.registry, "executor")] as const;
  await Promise.all([logs[0].untilThere("s1", "s2"), logs[1].untilThere("e1")]);
  for (let round = 0; round < 30; round += 1) await executor.update({ address: `a.test:${round}`, metadata: {} });
  const lostMs = clock.monotonicMs();
  relay.turn(second.endpoint);
  await reached("all to be put again", 5_000, () => logs[0].instances.length + logs[1].instances.length === 3);
  await reached("a keep-alive", 5_000, () => (executor.lastKeptAliveMs() ?? 0) > lostMs);
  const keys = await mesh.etcdctl("get", "--keys-only", "--prefix", `${mesh.cluster}/`);
  assert.deepEqual(
    keys.split(/\s+/),
    ["executor/e1", "scheduler/s1", "scheduler/s2"].map((key) => `${mesh.cluster}/${key}`),
  );
  await executor.update({ address: "after.test:1", metadata: {} });
  await logs[1].until(([member]) => member?.address === "after.test:1");
});

test("an etcd that is emptied is told as it is, and keeps being watched", async (t) => {
  const server = await startServer(t);
  await using mesh = new EtcdMesh(server.endpoint);
  const { registry } = await mesh.open();
  await mesh.etcdctl("put", mesh.key("mail", "m1"), '{"Op":0,"Addr":"m1.test:1"}');
  await mesh.etcdctl("put", mesh.key("mail", "m2"), '{"Op":0,"Addr":"m2.test:1"}');
  const log = new MemberLog(registry, "mail");
  await log.untilThere("m1", "m2");
  await mesh.etcdctl("del", "--prefix", `${mesh.cluster}/`);
  await log.untilThere();
  assert.equal(registry.health().healthy, true);
  await mesh.etcdctl("put", mesh.key("mail", "m3"), '{"Op":0,"Addr":"m3.test:1"}');
  await log.untilThere("m3");
});
