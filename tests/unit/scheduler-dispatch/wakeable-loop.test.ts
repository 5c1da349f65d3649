import assert from "node:assert/strict";
import { test } from "node:test";
import { StoreUnavailable } from "../../../services/common/port/store.ts";
import { type Logger, silentLogger } from "../../../services/common/runtime/log.ts";
import { WakeableLoop } from "../../../services/scheduler/wakeable-loop.ts";
import { ManualClock } from "../../support/manual-clock.ts";

function setup(run: (round: number) => Promise<boolean>, log: Logger = silentLogger) {
  const clock = new ManualClock();
  let rounds = 0;
  const loop = new WakeableLoop(clock, log, {
    name: "test",
    intervalMs: 250,
    run: () => {
      rounds += 1;
      return run(rounds);
    },
  });
  return { clock, loop, rounds: () => rounds };
}

test("a loop runs at once, then each interval, and again at once when a round asks for it", async () => {
  const { clock, loop, rounds } = setup(async (round) => round === 2);
  loop.start();
  await clock.settle();
  assert.equal(rounds(), 1);
  await clock.advance(249);
  assert.equal(rounds(), 1);
  await clock.advance(1);
  assert.equal(rounds(), 3, "the second round asked for a third");
  await loop.stop();
  assert.equal(clock.armedCount, 0);
});

test("a wake that comes during a round is not lost", async () => {
  const woken = Promise.withResolvers<boolean>();
  const { clock, loop, rounds } = setup((round) => (round === 1 ? woken.promise : Promise.resolve(false)));
  loop.start();
  await clock.settle();
  loop.wake();
  loop.wake();
  woken.resolve(false);
  await clock.settle();
  assert.equal(rounds(), 2, "several wakes are one round");
  await loop.stop();
});

test("an outage of the store is told once, and the loop goes on at its interval", async () => {
  const told: string[] = [];
  const tell = (_fields: unknown, message: string) => void told.push(message);
  const log: Logger = { ...silentLogger, warn: tell, info: tell, error: tell };
  const { clock, loop, rounds } = setup(async (round) => {
    if (round < 4) throw new StoreUnavailable("away");
    return false;
  }, log);
  loop.start();
  await clock.advance(1_000);
  assert.equal(rounds(), 5);
  assert.deepEqual(told, ["the store is away", "the store is back"]);
  await loop.stop();
});

test("a loop that is stopped can be started again", async () => {
  const { clock, loop, rounds } = setup(async () => false);
  loop.start();
  await clock.settle();
  await loop.stop();
  await clock.advance(1_000);
  assert.equal(rounds(), 1);
  loop.start();
  await clock.settle();
  assert.equal(rounds(), 2);
  await loop.stop();
});
