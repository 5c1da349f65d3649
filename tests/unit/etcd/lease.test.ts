import assert from "node:assert/strict";
import { test } from "node:test";
import { type Entry, LeaseGone } from "../../../services/common/adapter/etcd/etcd-calls.ts";
import { EtcdLease } from "../../../services/common/adapter/etcd/lease.ts";
import { silentLogger } from "../../../services/common/runtime/log.ts";
import { ManualClock } from "../../support/manual-clock.ts";

const KEY = "c/executor/e1";
const TTL_MS = 3_000;
const ROUND_MS = 1_000;

/** What real etcd does not do at a word: answers late, refuses writes while it keeps leases alive. */
class ScriptedEtcd {
  readonly leases = new Set<string>();
  entry: Entry | null = null;
  granted = 0;
  puts = 0;
  refusesPuts = false;
  /** Held answers of keep-alives; null when they are given at once. */
  held: (() => void)[] | null = null;

  /** The lease that holds the key. */
  holder(): string | undefined {
    return this.entry?.leaseId;
  }

  get = async (): Promise<Entry | null> => this.entry;
  grant = async (): Promise<string> => {
    this.granted += 1;
    this.leases.add(`lease${this.granted}`);
    return `lease${this.granted}`;
  };
  put = async (key: string, value: string, leaseId: string): Promise<void> => {
    if (this.refusesPuts) throw new Error("etcdserver: mvcc: database space exceeded");
    if (!this.leases.has(leaseId)) throw new LeaseGone("not found");
    this.puts += 1;
    this.entry = { key, value, leaseId, revision: BigInt(this.puts) };
  };
  keepAlive = async (leaseId: string): Promise<void> => {
    if (this.held !== null) await new Promise<void>((resolve) => this.held?.push(resolve));
    if (!this.leases.has(leaseId)) throw new LeaseGone("expired");
  };
  revoke = async (leaseId: string): Promise<void> => {
    this.leases.delete(leaseId);
    if (this.entry?.leaseId === leaseId) this.entry = null;
  };
}

async function setup() {
  const clock = new ManualClock();
  const etcd = new ScriptedEtcd();
  const member = { name: "executor", instance: "e1", address: "a.test:1", metadata: {} };
  const deps = { clock, log: silentLogger, client: etcd, onRevoked: () => {} };
  const lease = new EtcdLease(deps, { key: KEY, member, leaseTtlMs: TTL_MS });
  await lease.start();
  return {
    clock,
    etcd,
    lease,
    async [Symbol.asyncDispose]() {
      etcd.held?.splice(0).forEach((answer) => void answer());
      await lease.revoke();
      assert.equal(clock.armedCount, 0, "a timer is left");
    },
  };
}

test("rule 16: a keep-alive counts from when it was sent, and only once it is answered", async () => {
  await using scene = await setup();
  const { clock, etcd, lease } = scene;
  assert.equal(lease.lastKeptAliveMs(), 0);
  etcd.held = [];
  await clock.advance(ROUND_MS + 700);
  assert.equal(lease.lastKeptAliveMs(), 0);
  etcd.held.shift()?.();
  await clock.settle();
  assert.equal(lease.lastKeptAliveMs(), ROUND_MS);
});

test("rule 16: a lease kept alive is no sign of life while its key is missing and cannot be put", async () => {
  await using scene = await setup();
  const { clock, etcd, lease } = scene;
  await clock.advance(ROUND_MS);
  assert.equal(lease.lastKeptAliveMs(), ROUND_MS);
  etcd.entry = null;
  etcd.refusesPuts = true;
  await clock.advance(10 * ROUND_MS);
  assert.equal(lease.lastKeptAliveMs(), ROUND_MS);
  etcd.refusesPuts = false;
  await clock.advance(ROUND_MS);
  assert.ok((lease.lastKeptAliveMs() ?? 0) > 10 * ROUND_MS);
  assert.notEqual(etcd.entry, null);
});

test("rule 30: a lost lease is replaced in the round that finds it, a missing key is put under the same lease", async () => {
  await using scene = await setup();
  const { clock, etcd } = scene;
  await clock.advance(ROUND_MS);
  assert.deepEqual([etcd.granted, etcd.puts], [1, 1]);
  etcd.entry = null;
  await clock.advance(ROUND_MS);
  assert.deepEqual([etcd.granted, etcd.puts, etcd.holder()], [1, 2, "lease1"]);
  await etcd.revoke("lease1");
  await clock.advance(ROUND_MS);
  assert.deepEqual([etcd.granted, etcd.puts, etcd.holder()], [2, 3, "lease2"]);
});

test("an update in the middle of a round is put by the next one, and resolves only then", async () => {
  await using scene = await setup();
  const { clock, etcd, lease } = scene;
  etcd.held = [];
  await clock.advance(ROUND_MS);
  let isPut = false;
  const update = lease.update({ address: "new.test:1", metadata: {} }).then(() => {
    isPut = true;
  });
  const held = etcd.held;
  etcd.held = null;
  held.shift()?.();
  await update;
  assert.ok(isPut);
  assert.equal(etcd.entry?.value, '{"Op":0,"Addr":"new.test:1","Metadata":{}}');
});

test("an update that cannot be put is given back after two seconds, and made up later", async () => {
  await using scene = await setup();
  const { clock, etcd, lease } = scene;
  etcd.refusesPuts = true;
  let isBack = false;
  const update = lease.update({ address: "new.test:1", metadata: {} }).then(() => {
    isBack = true;
  });
  await clock.advance(1_900);
  assert.equal(isBack, false);
  await clock.advance(200);
  await update;
  etcd.refusesPuts = false;
  await clock.advance(ROUND_MS);
  assert.equal(etcd.entry?.value, '{"Op":0,"Addr":"new.test:1","Metadata":{}}');
});
