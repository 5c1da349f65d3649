import assert from "node:assert/strict";
import { test } from "node:test";
import { DEFAULT_CHANNEL_LIMITS, GrpcChannels } from "../../../services/executor/target/grpc-channels.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { guard, setup, startServer, textOf } from "./setup.ts";

function target(port: number, serverName?: string) {
  return {
    address: `127.0.0.1:${port}`,
    tls: serverName === undefined ? null : { serverName, ca: null, client: null },
    guard,
  };
}

test("calls of one target share a channel; another name of its certificate is another target", (t) => {
  const channels = new GrpcChannels(new ManualClock());
  t.after(() => channels.close());
  const leases = [target(1), target(1), target(1, ""), target(1, "billing"), target(2)].map((to) => channels.lease(to));
  assert.equal(leases[0]?.channel, leases[1]?.channel);
  assert.equal(new Set(leases.map((lease) => lease?.channel)).size, 4);
  assert.equal(new Set(leases.map((lease) => lease?.key)).size, 4);
});

test("a channel is closed two minutes after its last call, and not before", async () => {
  const clock = new ManualClock();
  const channels = new GrpcChannels(clock);
  const first = channels.lease(target(1));
  const held = channels.lease(target(2));
  first?.release();
  await clock.advance(DEFAULT_CHANNEL_LIMITS.idleMs - 1_000);
  const again = channels.lease(target(1));
  assert.equal(again?.channel, first?.channel);
  await clock.advance(10_000);
  assert.equal(channels.size, 2, "in use again");
  again?.release();
  held?.release();
  await clock.advance(DEFAULT_CHANNEL_LIMITS.idleMs - 1);
  assert.equal(channels.size, 2);
  await clock.advance(1);
  assert.equal(channels.size, 0);
  assert.equal(clock.armedCount, 0, "nothing ticks while there is none");
});

test("at the limit the one that is idle longest makes room; when all are in use there is none", (t) => {
  const channels = new GrpcChannels(new ManualClock(), { maxChannels: 3, idleMs: 1_000 });
  t.after(() => channels.close());
  const [one, two, three] = [1, 2, 3].map((port) => channels.lease(target(port)));
  assert.equal(channels.lease(target(4)), null);
  assert.equal(channels.lease(target(3))?.channel, three?.channel, "one that stands takes more calls");
  two?.release();
  one?.release();
  assert.notEqual(channels.lease(target(4)), null);
  assert.equal(channels.size, 3);
  assert.equal(channels.lease(target(1))?.channel, one?.channel, "the one that was idle longest went, not this one");
  assert.equal(channels.lease(target(2)), null);
});

test("an attempt for which there is no channel comes back NOT_STARTED, and runs when there is one", async (t) => {
  let finish = (): void => {};
  const busy = await startServer(t, {
    render: (_call, answer) => {
      finish = () => answer(null, { text: "done", sum: 0n });
    },
  });
  const other = await startServer(t);
  const { start, outcome } = setup(t, { maxChannels: 1, idleMs: 1_000 });
  const called = busy.next();
  const { ended } = start({ address: busy.address });
  await called;
  const crowded = await start({ address: other.address }).ended;
  assert.ok(crowded.outcome.kind === "returned");
  assert.deepEqual([crowded.outcome.reason, crowded.startUs], ["NOT_STARTED", null]);
  finish();
  assert.equal(textOf((await ended).outcome), "done");
  assert.equal(textOf(await outcome({ address: other.address })), ": 0");
});
