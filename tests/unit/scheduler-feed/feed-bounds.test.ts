/** What the feed holds for its watchers is bounded, each figure as it stands in production. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { randomExecutionId } from "../../../services/common/domain/execution-id.ts";
import type { ExecutionId } from "../../../services/common/domain/identifier.ts";
import { silentLogger } from "../../../services/common/runtime/log.ts";
import { SystemRandom } from "../../../services/common/runtime/system-random.ts";
import { ExecutionFeed } from "../../../services/scheduler/feed/execution-feed.ts";
import { RecentChanges } from "../../../services/scheduler/feed/recent-changes.ts";
import { placeAt, placeOfToken } from "../../../services/scheduler/feed/resume-token.ts";
import { SeenEnds } from "../../../services/scheduler/feed/seen-ends.ts";
import { testReading } from "./setup.ts";

const random = new SystemRandom();
const anId = (ms: number) => randomExecutionId(ms, random.bytes(10));

test("1,000 calls watch on one scheduler; one more is OVERLOADED, and room comes back", async (t) => {
  const { store, hints, clock } = await testReading(t);
  const feed = new ExecutionFeed({ store, hints, clock, log: silentLogger, explain: async (_store, all) => all });
  const over = Promise.withResolvers<void>();
  const calls = Array.from({ length: 999 }, () => feed.watch(() => over.promise));
  const first = Promise.withResolvers<void>();
  const leaves = feed.watch(() => first.promise);
  const refusal = { reason: "OVERLOADED", message: "1000 calls watch already", retryDelayMs: 1_000 };
  await assert.rejects(
    feed.watch(async () => assert.fail("it watches")),
    refusal,
  );
  first.resolve();
  await leaves;
  calls.push(feed.watch(() => over.promise));
  assert.equal(feed.watchers, 1_000);
  over.resolve();
  await Promise.all(calls);
  assert.equal(feed.watchers, 0);
});

test("the feed holds 10,000 changes: with one more the first is let go", async (t) => {
  const { execution } = await oneChange(t);
  const changes = new RecentChanges();
  for (let count = 0; count < 10_000; count++) changes.push(execution, placeAt(0));
  assert.equal(changes.after(0, 20_000)?.length, 10_000);
  changes.push(execution, placeAt(0));
  assert.equal(changes.after(0, 20_000), null);
  assert.equal(changes.after(1, 20_000)?.length, 10_000);
});

test("the feed holds 32 MiB of changes: with one more the first is let go", async (t) => {
  const { execution } = await oneChange(t);
  assert.ok(execution !== null);
  // With the 2 KiB that a row is reckoned at, each is 1 MiB.
  const message = "x".repeat((1024 * 1024 - 2_048) / 2);
  const large = { ...execution, labels: {}, failure: { code: 2, message, reason: "" } };
  const changes = new RecentChanges();
  for (let count = 0; count < 32; count++) changes.push(large, placeAt(0));
  assert.equal(changes.after(0, 100)?.length, 32);
  changes.push(large, placeAt(0));
  assert.equal(changes.after(0, 100), null);
  assert.equal(changes.after(1, 100)?.length, 32);
});

test("10,000 hinted executions wait to be read; one more is left to the next look", async (t) => {
  const rig = await testReading(t);
  rig.reading.start();
  await rig.clock.advance(10);
  const [last, left] = [await rig.end(), await rig.end()];
  const unknown = Array.from({ length: 9_999 }, (_, at) => anId(at));
  rig.hints.tell({ kind: "moved", executionIds: [...unknown, last, left] });
  await rig.clock.advance(0);
  assert.deepEqual(rig.told(), [last]);
  await rig.clock.advance(250);
  assert.deepEqual(rig.told(), [last, left]);
});

test("500,000 ends are remembered: with one more those of the oldest second are forgotten", () => {
  const seen = new SeenEnds();
  const end = (at: number) => ({ endedUs: at < 2 ? 0 : 1_000_000, executionId: `id ${at}` as ExecutionId });
  for (let at = 0; at < 500_000; at++) seen.add(end(at));
  assert.deepEqual([seen.count, seen.has(end(0))], [500_000, true]);
  seen.add(end(500_000));
  assert.deepEqual([seen.count, seen.has(end(0)), seen.has(end(2))], [499_999, false, true]);
});

test("a resume token has 200 characters at most", () => {
  const padded = (bytes: number) => Buffer.from('["watch-1",7,""]'.padEnd(bytes)).toString("base64url");
  assert.equal(padded(150).length, 200);
  assert.deepEqual(placeOfToken(padded(150)), placeAt(7));
  assert.equal(placeOfToken(padded(151)), null);
});

async function oneChange(t: Parameters<typeof testReading>[0]) {
  const rig = await testReading(t);
  rig.reading.start();
  await rig.clock.advance(0);
  await rig.end();
  await rig.clock.advance(250);
  return rig.reading.changes.after(0, 1)?.[0] ?? assert.fail("it is told");
}
