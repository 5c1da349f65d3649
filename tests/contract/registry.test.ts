import assert from "node:assert/strict";
import { MemberLog, memberOf, onEveryRegistry } from "../support/registry.ts";

const TTL_MS = 5_000;

onEveryRegistry(
  "a member is seen as it was registered, by a watch begun before and by one begun after",
  async (mesh) => {
    const [one, two] = [await mesh.open(), await mesh.open()];
    const before = new MemberLog(two, "scheduler");
    await before.untilThere();
    const member = memberOf("scheduler", "s1", { version: "1.2", "with space": 'ä"\\\n', empty: "" });
    const lease = await one.register(member, TTL_MS);
    await before.untilThere("s1");
    assert.deepEqual(before.lists, [[], [member]]);
    const after = new MemberLog(two, "scheduler");
    const third = new MemberLog(one, "scheduler");
    await Promise.all([after.untilThere("s1"), third.untilThere("s1")]);
    assert.deepEqual([after.lists, third.lists], [[[member]], [[member]]]);
    await lease.revoke();
    await Promise.all([before, after, third].map((log) => log.untilThere()));
  },
);

onEveryRegistry("a member that nobody dials has an empty address", async (mesh) => {
  const registry = await mesh.open();
  const member = { name: "executor", instance: "e1", address: "", metadata: {} };
  await registry.register(member, TTL_MS);
  const log = new MemberLog(registry, "executor");
  await log.untilThere("e1");
  assert.deepEqual(log.lists, [[member]]);
});

onEveryRegistry("members are sorted by instance, whatever the order they come in", async (mesh) => {
  const [one, two] = [await mesh.open(), await mesh.open()];
  const log = new MemberLog(two, "executor");
  for (const instance of ["b", "a", "B", "a.1", "10", "9"]) {
    await one.register(memberOf("executor", instance), TTL_MS);
  }
  await log.untilThere("10", "9", "B", "a", "a.1", "b");
  log.assertLists();
});

onEveryRegistry("names are apart, also where one begins with the other", async (mesh) => {
  const [one, two] = [await mesh.open(), await mesh.open()];
  const names = ["bill", "billing", "bil", "bill.ing"];
  const logs = names.map((name) => new MemberLog(two, name));
  for (const name of names) await one.register(memberOf(name, `of-${name}`), TTL_MS);
  await Promise.all(logs.map((log, at) => log.untilThere(`of-${names[at]}`)));
  for (const log of logs) assert.ok(log.lists.every((list) => list.length <= 1));
});

onEveryRegistry("one instance may stand under several names", async (mesh) => {
  const registry = await mesh.open();
  const leases = await Promise.all(["billing", "mail"].map((name) => registry.register(memberOf(name, "x1"), TTL_MS)));
  const [billing, mail] = [new MemberLog(registry, "billing"), new MemberLog(registry, "mail")];
  await Promise.all([billing.untilThere("x1"), mail.untilThere("x1")]);
  await leases[0]?.revoke();
  await billing.untilThere();
  assert.deepEqual(mail.instances, ["x1"]);
});

onEveryRegistry("an update changes address and metadata, and nothing in between is seen", async (mesh) => {
  const [one, two] = [await mesh.open(), await mesh.open()];
  const log = new MemberLog(two, "scheduler");
  const lease = await one.register(memberOf("scheduler", "s1", { store: "true", version: "1" }), TTL_MS);
  await log.untilThere("s1");
  const changed = { address: "other.test:1", metadata: { store: "false" } };
  await lease.update(changed);
  await log.until(([member]) => member?.metadata.store === "false");
  assert.deepEqual(log.lists.at(-1), [{ name: "scheduler", instance: "s1", ...changed }]);
  assert.ok(log.lists.every((list) => list.length <= 1));
  log.assertLists();
});

onEveryRegistry("of updates that follow each other at once the last one stands", async (mesh) => {
  const [one, two] = [await mesh.open(), await mesh.open()];
  const log = new MemberLog(two, "scheduler");
  const lease = await one.register(memberOf("scheduler", "s1"), TTL_MS);
  const updates = Array.from({ length: 20 }, (_, at) => lease.update({ address: `a.test:${at}`, metadata: {} }));
  await Promise.all(updates);
  await log.until(([member]) => member?.address === "a.test:19");
  const late = new MemberLog(two, "scheduler");
  await late.untilThere("s1");
  assert.equal(late.lists.at(-1)?.[0]?.address, "a.test:19");
});

onEveryRegistry("a revoked member is gone, may be revoked again, and is not updated any more", async (mesh) => {
  const [one, two] = [await mesh.open(), await mesh.open()];
  const log = new MemberLog(two, "executor");
  const [lease] = await Promise.all([
    one.register(memberOf("executor", "e1"), TTL_MS),
    one.register(memberOf("executor", "e2"), TTL_MS),
  ]);
  await log.untilThere("e1", "e2");
  await Promise.all([lease.revoke(), lease.revoke()]);
  await lease.revoke();
  await lease.update({ address: "back.test:1", metadata: {} });
  await log.untilThere("e2");
  const late = new MemberLog(two, "executor");
  await late.untilThere("e2");
});

onEveryRegistry("an instance that was revoked may register again", async (mesh) => {
  const [one, two] = [await mesh.open(), await mesh.open()];
  const log = new MemberLog(two, "executor");
  const lease = await one.register(memberOf("executor", "e1", { incarnation: "1" }), TTL_MS);
  await log.untilThere("e1");
  await lease.revoke();
  await one.register(memberOf("executor", "e1", { incarnation: "2" }), TTL_MS);
  await log.until(([member]) => member?.metadata.incarnation === "2");
});

onEveryRegistry("a watch that was ended is told nothing more; ending it twice is harmless", async (mesh) => {
  const [one, two] = [await mesh.open(), await mesh.open()];
  const [ended, going] = [new MemberLog(two, "executor"), new MemberLog(two, "executor")];
  await Promise.all([ended.untilThere(), going.untilThere()]);
  ended.end();
  ended.end();
  await one.register(memberOf("executor", "e1"), TTL_MS);
  await going.untilThere("e1");
  assert.deepEqual(ended.lists, [[]]);
  going.end();
  const again = new MemberLog(two, "executor");
  await again.untilThere("e1");
});

onEveryRegistry("rule 16: a lease tells when it was last kept alive, and never a moment to come", async (mesh) => {
  const registry = await mesh.open();
  const lease = await registry.register(memberOf("executor", "e1"), TTL_MS);
  const keptAliveMs = lease.lastKeptAliveMs();
  assert.ok(keptAliveMs !== null && keptAliveMs <= performance.now() && keptAliveMs > performance.now() - TTL_MS);
});

onEveryRegistry("a registry that stops takes its members with it", async (mesh) => {
  const [one, two] = [await mesh.open(), await mesh.open()];
  await one.register(memberOf("scheduler", "s1"), TTL_MS);
  await one.register(memberOf("billing", "b1"), TTL_MS);
  const logs = one === two ? [] : [new MemberLog(two, "scheduler"), new MemberLog(two, "billing")];
  await Promise.all(logs.map((log) => log.until((members) => members.length === 1)));
  assert.equal(one.health().healthy, true);
  await one.stop();
  await one.stop();
  await Promise.all(logs.map((log) => log.untilThere()));
});
