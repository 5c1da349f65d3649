import assert from "node:assert/strict";
import { test } from "node:test";
import { ExecutorPresence } from "../../../services/scheduler/executor-presence.ts";
import { TestRegistry } from "./setup.ts";

const executor = (instance: string) => ({ name: "executor", instance, address: "", metadata: {} });

test("rule 23: a key is its incarnation's: that of the process after is no sign of the one before", async () => {
  const registry = new TestRegistry();
  const told: string[][] = [];
  const presence = new ExecutorPresence(registry, (ids) => void told.push([...ids]));
  presence.start();
  await registry.register({ ...executor("e-1"), metadata: { incarnation: "second" } });
  assert.deepEqual([...(presence.present() ?? [])], ["e-1/second"]);
  assert.deepEqual(told.at(-1), ["e-1"], "the roster goes by the executor");
  presence.stop();
});

test("rule 14: who is present is what the registry shows, and unknown while it cannot be asked", async () => {
  const registry = new TestRegistry();
  const told: string[][] = [];
  const presence = new ExecutorPresence(registry, (ids) => void told.push([...ids]));
  assert.equal(presence.present(), null, "before it was asked");
  registry.away = true;
  presence.start();
  assert.equal(presence.present(), null, "while it is away");
  registry.away = false;
  assert.equal(presence.present(), null, "when it answers and has not been read yet");
  const lease = await registry.register(executor("e-1"));
  assert.deepEqual([...(presence.present() ?? [])], ["e-1"]);
  registry.away = true;
  assert.equal(presence.present(), null);
  registry.away = false;
  await lease.revoke();
  assert.deepEqual([...(presence.present() ?? ["?"])], []);
  presence.stop();
  await registry.register(executor("e-2"));
  assert.deepEqual(told, [["e-1"], []]);
});
