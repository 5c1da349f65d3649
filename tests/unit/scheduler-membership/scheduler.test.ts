/** The whole scheduler on a real store in memory, a memory bus and a registry, on a manual clock. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { type LinkRequest, type LinkResponse, PeerServiceService } from "../../../gen/jobmesh/v1/peer_service.ts";
import { MemorySchedulerBus } from "../../../services/common/adapter/memory/bus-ends.ts";
import { MemoryTopics } from "../../../services/common/adapter/memory/bus-topics.ts";
import { openStore } from "../../../services/common/adapter/open-store.ts";
import type { SchedulerId } from "../../../services/common/domain/identifier.ts";
import { JobmeshError } from "../../../services/common/error/jobmesh-error.ts";
import { type Store, StoreUnavailable } from "../../../services/common/port/store.ts";
import type { BidiHandler, CallContext } from "../../../services/common/rpc/contract.ts";
import { SystemRandom } from "../../../services/common/runtime/system-random.ts";
import { propagatingTracing } from "../../../services/common/telemetry/create-tracing.ts";
import { Scheduler } from "../../../services/scheduler/scheduler.ts";
import { everyExecution } from "../../support/execution-filter.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { schedulerSettings } from "../../support/scheduler-settings.ts";
import { submitTo } from "../mesh/served.ts";
import { silentStream } from "../mesh/way.ts";
import { keptLog } from "../scheduler-results/setup.ts";
import { addJob, cron, nominals, START_MS } from "../scheduler-timer/setup.ts";
import { TestRegistry } from "./setup.ts";

async function setup(t: TestContext) {
  const clock = new ManualClock();
  const random = new SystemRandom();
  const outage: { away: boolean } = { away: false };
  const store: Store = openStore("sqlite::memory:", {
    clock,
    random,
    onStatement: (_name, sql) => {
      if (outage.away && sql !== "ROLLBACK") throw new StoreUnavailable("away");
    },
  });
  await store.start();
  const nowUs = store.nowUs.bind(store);
  t.mock.method(store, "nowUs", () => (outage.away ? Promise.reject(new StoreUnavailable("away")) : nowUs()));
  const topics = new MemoryTopics(clock, { resultPartitions: 2 });
  const registry = new TestRegistry();
  const { log, messages } = keptLog();
  const stops: (() => Promise<void>)[] = [];
  t.after(async () => {
    outage.away = false;
    await Promise.all(stops.map((stop) => stop()));
    await clock.settle();
    assert.equal(clock.armedCount, 0, "no timer is left");
    await store.stop();
  });
  const scheduler = async (schedulerId: string) => {
    const bus = new MemorySchedulerBus(topics, clock);
    await bus.start();
    const openPeer = () => assert.fail("peers are not dialled here");
    const made = new Scheduler(
      { store, bus, registry, openPeer, clock, random, tracing: propagatingTracing(random), log },
      { ...schedulerSettings, schedulerId: schedulerId as SchedulerId },
    );
    stops.push(async () => {
      await made.stop();
      await bus.stop();
    });
    return made;
  };
  return { clock, store, outage, registry, messages, scheduler };
}

test("start and stop are idempotent, and leave nothing behind", async (t) => {
  const { clock, registry, scheduler } = await setup(t);
  const one = await scheduler("s-1");
  assert.equal(one.healthy(), false);
  const [first, second] = [one.start("s-1:7070"), one.start("s-1:7070")];
  await clock.advance(10);
  await Promise.all([first, second]);
  assert.equal(one.healthy(), true);
  assert.deepEqual([...registry.members.keys()], ["scheduler/s-1"]);
  await clock.advance(5_000);
  await Promise.all([one.stop(), one.stop()]);
  await one.stop();
  assert.equal(one.healthy(), false);
  assert.equal(registry.members.size, 0);
  await clock.settle();
  assert.equal(clock.armedCount, 0);
  await assert.rejects(one.start("s-1:7070"), { reason: "SHUTTING_DOWN" });
});

test("rule 12: while it does not know mesh time yet it takes no call, and answers UNAVAILABLE", async (t) => {
  const { clock, store, outage, scheduler } = await setup(t);
  const one = await scheduler("s-1");
  const submit = () => submitTo(one)({});
  outage.away = true;
  const starting = one.start("s-1:7070");
  await assert.rejects(async () => submit(), { reason: "SHUTTING_DOWN", code: "UNAVAILABLE" });
  await assert.rejects(starting, StoreUnavailable);
  outage.away = false;
  await clock.settle();
  assert.equal((await store.executions.list(everyExecution, 10, null, false)).items.length, 0);
});

test("rule 31: a peer's link stands while the scheduler runs, and is refused before and after", async (t) => {
  const { clock, scheduler } = await setup(t);
  const one = await scheduler("s-1");
  const service = one.services().find(({ definition }) => definition === PeerServiceService);
  assert.ok(service !== undefined);
  const { link } = service.handlers as { link: BidiHandler<LinkRequest, LinkResponse> };
  const context = { stopping: new AbortController().signal } as CallContext;
  const failure = (): unknown => {
    let failed: unknown = null;
    link({ ...silentStream(), fail: (error) => (failed = error) }, context);
    return failed instanceof JobmeshError ? failed.reason : failed;
  };
  assert.equal(failure(), "SHUTTING_DOWN");
  const starting = one.start("s-1:7070");
  await clock.advance(10);
  await starting;
  assert.equal(failure(), null);
  await one.stop();
  assert.equal(failure(), "SHUTTING_DOWN");
});

test("a stop that comes while it starts ends it", async (t) => {
  const { clock, registry, scheduler } = await setup(t);
  const one = await scheduler("s-1");
  const starting = one.start("s-1:7070");
  const stopping = one.stop();
  await clock.advance(10);
  await Promise.all([starting, stopping]);
  await clock.settle();
  assert.deepEqual([registry.members.size, clock.armedCount, one.healthy()], [0, 0, false]);
});

test("a start without the store rejects and leaves nothing behind", async (t) => {
  const { clock, outage, registry, scheduler } = await setup(t);
  const one = await scheduler("s-1");
  outage.away = true;
  await assert.rejects(one.start("s-1:7070"), StoreUnavailable);
  await clock.settle();
  assert.deepEqual([registry.members.size, clock.armedCount, one.healthy()], [0, 0, false]);
});

test("a start that fails half way unwinds what had begun", async (t) => {
  const { clock, store, registry, scheduler } = await setup(t);
  const one = await scheduler("s-1");
  t.mock.method(store.offsets, "read", () => Promise.reject(new Error("no offsets")));
  await assert.rejects(one.start("s-1:7070"), /no offsets/);
  await clock.settle();
  assert.deepEqual([registry.members.size, clock.armedCount, one.healthy()], [0, 0, false]);
});

test("a part that fails to stop does not keep the others running", async (t) => {
  const { clock, registry, messages, scheduler } = await setup(t);
  const register = registry.register.bind(registry);
  t.mock.method(registry, "register", async (...parts: Parameters<typeof register>) => {
    const lease = await register(...parts);
    return { ...lease, revoke: () => Promise.reject(new Error("etcd is away")) };
  });
  const one = await scheduler("s-1");
  const starting = one.start("s-1:7070");
  await clock.advance(10);
  await starting;
  await one.stop();
  await clock.settle();
  assert.equal(clock.armedCount, 0);
  assert.deepEqual(messages, ["error: a part did not stop in order"]);
});

test("who stops gives its places away before its last work is done", async (t) => {
  const { clock, store, registry, scheduler } = await setup(t);
  const one = await scheduler("s-1");
  const starting = one.start("s-1:7070");
  await clock.advance(10);
  await starting;
  const fireAll = store.jobs.fireAll.bind(store.jobs);
  const held = Promise.withResolvers<void>();
  t.mock.method(store.jobs, "fireAll", async (...parts: Parameters<typeof fireAll>) => {
    await held.promise;
    return await fireAll(...parts);
  });
  const job = await addJob({ store }, { ...cron("* * * * * *") }, { firstMs: START_MS + 1_000 });
  await clock.advance(1_500);
  const stopping = one.stop();
  await clock.settle();
  assert.equal(registry.members.size, 0, "its key is gone");
  held.resolve();
  await stopping;
  const stored = await store.jobs.getByUid(job.jobUid);
  assert.equal(stored?.fireCount, 1, "the fire under way was stored");
});

test("rule 30: a scheduler fires each second once, what a dead member owns and what fell into an outage too", async (t) => {
  const { clock, store, outage, registry, messages, scheduler } = await setup(t);
  const jobs = [];
  for (let shard = 0; shard < 8; shard += 1) {
    const parts = { firstMs: START_MS + 1_000, shard: shard * 32 };
    jobs.push(await addJob({ store }, { ...cron("* * * * * *"), overlapPolicy: "ALLOW" }, parts));
  }
  const one = await scheduler("s-1");
  const starting = one.start("s-1:7070");
  await clock.advance(10);
  await starting;
  // A member that is there and does nothing: what it owns is overdue until the backstop takes it.
  await registry.register({ name: "scheduler", instance: "s-9", address: "s-1:7070", metadata: { store: "true" } });
  await clock.advance(10_000);
  outage.away = true;
  await clock.advance(3_000);
  outage.away = false;
  await clock.advance(8_000);
  const { items } = await store.executions.list(everyExecution, 1_000, null, false);
  for (const job of jobs) {
    const own = items.filter(({ jobUid }) => jobUid === job.jobUid);
    const times = nominals(own).toSorted((a, b) => a - b);
    // Each second once, without a gap, up to where the backstop is.
    assert.deepEqual(
      times,
      Array.from({ length: times.length }, (_, index) => (index + 1) * 1_000),
    );
    assert.ok(times.length >= 17, `${times.length} fires`);
  }
  assert.ok(messages.includes("error: the store is away"));
});
