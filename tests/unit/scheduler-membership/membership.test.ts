import assert from "node:assert/strict";
import { test } from "node:test";
import { MemoryRegistry } from "../../../services/common/adapter/memory/registry.ts";
import { SHARD_COUNT } from "../../../services/common/domain/job.ts";
import type { Membership } from "../../../services/scheduler/membership.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { newMember, TestRegistry } from "./setup.ts";

/** How often each shard and each partition is owned. */
function owners(members: readonly Membership[]): { shards: number[]; partitions: number[] } {
  const shards = Array.from({ length: SHARD_COUNT }, (_, shard) => shard);
  const owned = members.map((member) => new Set(member.ownedShards()));
  const partitions = Array.from({ length: 16 }, (_, partition) => partition);
  return {
    shards: shards.map((shard) => owned.filter((own) => own.has(shard)).length),
    partitions: partitions.map((partition) => members.filter((member) => member.ownsPartition(partition)).length),
  };
}

const each = (count: number, value: number) => Array.from({ length: count }, () => value);

async function started(registry: TestRegistry, ...names: string[]): Promise<Membership[]> {
  const members = names.map((name) => newMember(registry, name));
  for (const member of members) await member.start();
  return members;
}

test("rule 30: each shard and partition has one owner among the live members, and each member a fair part", async () => {
  const members = await started(new TestRegistry(), "s-1", "s-2", "s-3");
  assert.deepEqual(owners(members), { shards: each(SHARD_COUNT, 1), partitions: each(16, 1) });
  for (const member of members) {
    const { shards, resultPartitions } = member.owned();
    assert.ok(shards > 50 && shards < 130, `${shards} shards`);
    assert.ok(resultPartitions >= 1);
    assert.equal(shards, member.ownedShards().length);
  }
});

test("rule 30: when a member leaves only its own places move, and everyone is told", async () => {
  const [first, second, third] = await started(new TestRegistry(), "s-1", "s-2", "s-3");
  assert.ok(first && second && third);
  const before = new Set(first.ownedShards());
  let told = 0;
  const unlisten = first.onChange(() => {
    told += 1;
  });
  await third.stop();
  assert.ok(told > 0);
  for (const shard of before) assert.ok(first.ownedShards().includes(shard));
  assert.deepEqual(owners([first, second]), { shards: each(SHARD_COUNT, 1), partitions: each(16, 1) });
  unlisten();
  const heard = told;
  await second.stop();
  assert.equal(told, heard);
});

test("rule 30: a member always counts itself, also before the registry knows it, or when its key is gone", async () => {
  const registry = new TestRegistry();
  const member = newMember(registry, "s-1");
  assert.equal(member.ownedShards().length, SHARD_COUNT);
  await member.start();
  registry.members.clear();
  registry.tell();
  assert.equal(member.ownedShards().length, SHARD_COUNT);
  assert.deepEqual(
    member.all().map(({ schedulerId }) => schedulerId),
    ["s-1"],
  );
});

test("rule 30: while the registry is away the last view stands", async () => {
  const registry = new TestRegistry();
  const [first, second] = await started(registry, "s-1", "s-2");
  assert.ok(first && second);
  const owned = [...first.ownedShards()];
  registry.away = true;
  registry.members.clear();
  registry.tell();
  assert.deepEqual(first.ownedShards(), owned);
  assert.equal(first.peers().length, 1);
});

test("rule 30: a member without its store owns nothing while one lives that has it", async () => {
  const [first, second] = await started(new TestRegistry(), "s-1", "s-2");
  assert.ok(first && second);
  await first.setStoreHealthy(false);
  assert.deepEqual([first.ownedShards().length, second.ownedShards().length], [0, SHARD_COUNT]);
  assert.deepEqual([first.owned().resultPartitions, second.owned().resultPartitions], [0, 16]);
  assert.deepEqual([first.hasStoreElsewhere(), second.hasStoreElsewhere()], [true, false]);
  // Its name stays resolvable.
  assert.equal(second.peers()[0]?.schedulerId, "s-1");
  await second.setStoreHealthy(false);
  assert.deepEqual(owners([first, second]), { shards: each(SHARD_COUNT, 1), partitions: each(16, 1) });
  assert.equal(first.hasStoreElsewhere(), false);
  await first.setStoreHealthy(true);
  assert.equal(first.ownedShards().length, SHARD_COUNT);
});

test("rule 30: the own mark counts at once, also while the registry is away", async () => {
  const registry = new TestRegistry();
  const [first] = await started(registry, "s-1", "s-2");
  assert.ok(first !== undefined);
  registry.away = true;
  await first.setStoreHealthy(false);
  assert.equal(first.ownedShards().length, 0);
});

test("rule 30: a store that goes while the registry is asked is marked after all", async (t) => {
  const registry = new TestRegistry();
  const asked = Promise.withResolvers<void>();
  const register = registry.register.bind(registry);
  t.mock.method(registry, "register", async (...parts: Parameters<typeof register>) => {
    const lease = await register(...parts);
    await asked.promise;
    return lease;
  });
  const member = newMember(registry, "s-1");
  const starting = member.start();
  await member.setStoreHealthy(false);
  asked.resolve();
  await starting;
  assert.equal(registry.members.get("scheduler/s-1")?.metadata.store, "false");
});

test("what an earlier process left under the own address is no peer", async () => {
  const registry = new TestRegistry();
  const [, other] = await started(registry, "s-old", "s-2");
  const member = newMember(registry, "s-new", { address: "s-old:7070" });
  await member.start();
  assert.ok(other !== undefined);
  assert.deepEqual(
    member.peers().map(({ schedulerId }) => schedulerId),
    ["s-2"],
  );
  assert.equal(other.peers().length, 2);
});

test("views tell what each member said of itself and how many shards it owns", async () => {
  const [first] = await started(new TestRegistry(), "s-1", "s-2");
  const views = first?.all() ?? [];
  assert.deepEqual(
    views.map(({ schedulerId, address, version, startUs }) => [schedulerId, address, version, startUs]).toSorted(),
    [
      ["s-1", "s-1:7070", "1", 7],
      ["s-2", "s-2:7070", "1", 7],
    ],
  );
  assert.equal(
    views.reduce((sum, { shardCount }) => sum + shardCount, 0),
    SHARD_COUNT,
  );
  assert.equal(first?.all(), views, "it is not reckoned anew while nothing changed");
});

test("a task of which the mesh needs one has one owner", async () => {
  const members = await started(new TestRegistry(), "s-1", "s-2", "s-3");
  for (const task of ["health", "events", "epoch"]) {
    assert.equal(members.filter((member) => member.ownsTask(task)).length, 1);
  }
});

test("a member on the memory registry joins, leaves, and can stop twice", async () => {
  const clock = new ManualClock();
  const registry = new MemoryRegistry(clock);
  const first = newMember(registry, "s-1");
  const second = newMember(registry, "s-2");
  await first.start();
  await second.start();
  assert.equal(first.peers().length, 1);
  await second.stop();
  await second.stop();
  assert.equal(first.peers().length, 0);
  await first.stop();
  assert.equal(clock.armedCount, 0);
});

test("rule 34: what ends is written by one of those that have it switched on and their store, whoever else lives", async () => {
  const registry = new TestRegistry();
  const [first, second] = [
    newMember(registry, "s-1", { executionEvents: true }),
    newMember(registry, "s-2", { executionEvents: true }),
  ];
  const others = ["s-3", "s-4", "s-5", "s-6"].map((name) => newMember(registry, name));
  for (const member of [first, second, ...others]) await member.start();
  const owning = () => [first, second, ...others].map((member) => member.ownsEndedEvents());
  assert.deepEqual(owning().filter(Boolean), [true]);
  assert.ok(first.ownsEndedEvents() !== second.ownsEndedEvents());
  const [owner, other] = first.ownsEndedEvents() ? [first, second] : [second, first];
  await owner.setStoreHealthy(false);
  assert.ok(other.ownsEndedEvents() && !owner.ownsEndedEvents());
  await owner.setStoreHealthy(true);
  assert.ok(owner.ownsEndedEvents());
  await owner.stop();
  assert.ok(other.ownsEndedEvents());
  await other.stop();
  assert.deepEqual(
    others.map((member) => member.ownsEndedEvents()),
    [false, false, false, false],
  );
});
