import assert from "node:assert/strict";
import { test } from "node:test";
import type { Change, Entry, Listing, WatchEvents } from "../../../services/common/adapter/etcd/etcd-calls.ts";
import { MemberWatch } from "../../../services/common/adapter/etcd/member-watch.ts";
import { silentLogger } from "../../../services/common/runtime/log.ts";
import { ManualClock } from "../../support/manual-clock.ts";

const PREFIX = "c/mail/";

function entryOf(instance: string, revision: number): Entry {
  return { key: `${PREFIX}${instance}`, value: '{"Op":0,"Addr":""}', leaseId: "0", revision: BigInt(revision) };
}

function put(instance: string, revision: number): Change {
  const entry = entryOf(instance, revision);
  return { key: entry.key, revision: entry.revision, entry };
}

function gone(instance: string, revision: number): Change {
  return { key: `${PREFIX}${instance}`, revision: BigInt(revision), entry: null };
}

/** Lists and streams whose answers the test gives, in any order between them. */
class ScriptedEtcd {
  readonly lists: PromiseWithResolvers<Listing>[] = [];
  readonly streams: { readonly from: bigint; readonly events: WatchEvents; isEnded: boolean }[] = [];

  list = (): Promise<Listing> => {
    const answer = Promise.withResolvers<Listing>();
    this.lists.push(answer);
    return answer.promise;
  };
  watch = (_prefix: string, from: bigint, events: WatchEvents): (() => void) => {
    const onEnded = (why: string): void => {
      stream.isEnded = true;
      events.onEnded(why);
    };
    const stream = { from, events: { ...events, onEnded }, isEnded: false };
    this.streams.push(stream);
    return () => {
      stream.isEnded = true;
    };
  };
}

async function setup() {
  const clock = new ManualClock();
  const etcd = new ScriptedEtcd();
  const seen: string[] = [];
  let broken = 0;
  const onMembers = (members: readonly { readonly instance: string }[]): void => {
    seen.push(members.map(({ instance }) => instance).join());
  };
  const onBroken = (): void => {
    broken += 1;
  };
  const watch = new MemberWatch(
    { clock, log: silentLogger, client: etcd, onMembers, onBroken },
    { name: "mail", prefix: PREFIX },
  );
  watch.start();
  const answer = async (revision: number, ...entries: readonly Entry[]): Promise<void> => {
    etcd.lists.at(-1)?.resolve({ revision: BigInt(revision), entries });
    await clock.settle();
  };
  return {
    clock,
    etcd,
    watch,
    seen,
    answer,
    broken: () => broken,
    async [Symbol.asyncDispose]() {
      etcd.lists.at(-1)?.resolve({ revision: 0n, entries: [] });
      await watch.stop();
      assert.ok(etcd.streams.slice(-1).every(({ isEnded }) => isEnded));
      assert.equal(clock.armedCount, 0, "a timer is left");
    },
  };
}

test("rule 30: the stream begins at the revision after its list", async () => {
  await using scene = await setup();
  assert.equal(scene.watch.fault, "mail: was not read yet");
  await scene.answer(7, entryOf("b", 3), entryOf("a", 5));
  assert.deepEqual(scene.seen, ["a,b"]);
  assert.equal(scene.etcd.streams[0]?.from, 8n);
  assert.equal(scene.watch.fault, null);
});

test("rule 30: a list each 10 s finds what the stream has not told, and an equal one is not told", async () => {
  await using scene = await setup();
  await scene.answer(7, entryOf("a", 5));
  scene.etcd.streams[0]?.events.onOpened();
  await scene.clock.advance(10_000);
  await scene.answer(7, entryOf("a", 5));
  await scene.clock.advance(10_000);
  await scene.answer(9, entryOf("a", 5), entryOf("b", 8));
  assert.deepEqual(scene.seen, ["a", "a,b"]);
  assert.equal(scene.etcd.lists.length, 3);
  assert.equal(scene.etcd.streams.length, 1);
});

test("changes that overtake a list stand, older ones do not come back", async () => {
  await using scene = await setup();
  await scene.answer(7, entryOf("a", 5));
  const events = scene.etcd.streams[0]?.events;
  events?.onOpened();
  await scene.clock.advance(10_000);
  events?.onChanges([put("old", 8)]);
  events?.onChanges([gone("a", 10), put("new", 11)]);
  assert.deepEqual(scene.seen, ["a", "a,old", "new,old"]);
  await scene.answer(9, entryOf("a", 5));
  assert.deepEqual(scene.seen, ["a", "a,old", "new,old", "new"]);
});

test("rule 30: a stream that breaks is followed by a list and a new stream; the view stands meanwhile", async () => {
  await using scene = await setup();
  await scene.answer(7, entryOf("a", 5));
  scene.etcd.streams[0]?.events.onOpened();
  scene.etcd.streams[0]?.events.onEnded("etcd has compacted the history");
  assert.equal(scene.broken(), 1);
  assert.equal(scene.watch.fault, "mail: etcd has compacted the history");
  await scene.clock.advance(200);
  assert.deepEqual(scene.seen, ["a"]);
  await scene.answer(3, entryOf("b", 2));
  assert.deepEqual(scene.seen, ["a", "b"]);
  assert.equal(scene.etcd.streams[1]?.from, 4n);
  assert.equal(scene.watch.fault, null);
});

test("a watch that is refused again and again is tried once a second, not at once", async () => {
  await using scene = await setup();
  const refuse = async (): Promise<void> => {
    const before = scene.etcd.streams.length;
    await scene.answer(7, entryOf("a", 5));
    if (scene.etcd.streams.length > before) scene.etcd.streams.at(-1)?.events.onEnded("permission denied");
    await scene.clock.settle();
  };
  for (let round = 0; round < 10; round += 1) {
    await refuse();
    await scene.clock.advance(1_000);
  }
  assert.ok(scene.etcd.lists.length <= 12, `${scene.etcd.lists.length} lists`);
  const before = scene.etcd.lists.length;
  await refuse();
  await scene.clock.advance(900);
  assert.equal(scene.etcd.lists.length, before);
});

test("a list that fails is read again soon, beside a stream that goes on", async () => {
  await using scene = await setup();
  await scene.answer(7, entryOf("a", 5));
  scene.etcd.streams[0]?.events.onOpened();
  await scene.clock.advance(10_000);
  scene.etcd.lists.at(-1)?.reject(new Error("4 DEADLINE_EXCEEDED"));
  await scene.clock.settle();
  assert.equal(scene.watch.fault, "mail: 4 DEADLINE_EXCEEDED");
  await scene.clock.advance(1_000);
  await scene.answer(8, entryOf("a", 5));
  assert.equal(scene.watch.fault, null);
  assert.deepEqual([scene.etcd.streams.length, scene.seen], [1, ["a"]]);
});
