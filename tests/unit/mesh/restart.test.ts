import assert from "node:assert/strict";
import { test } from "node:test";
import type { ExecutorId } from "../../../services/common/domain/identifier.ts";
import { defaultPolicy } from "../../../services/common/domain/policy.ts";
import { lockNaming, meshRig } from "./setup.ts";

test("rule 23: an executor that starts anew without knowing who it was waits for the lease, and no longer, although its own key is there", async (t) => {
  const mesh = await meshRig(t);
  await mesh.scheduler("s-1");
  const { registry } = mesh;
  const one = await mesh.executor("one", {}, { registry });
  const [id] = await mesh.submit(1);
  await mesh.pass(1_000);
  assert.equal(one.started.length, 1);
  // As after a SIGKILL on a machine that is gone: nothing is heard, and its folder is lost.
  one.way.cut = true;
  const again = await mesh.executor("one", {}, { registry });
  await mesh.pass(5_000);
  assert.equal(again.executor.status.homed, false, "the first may live on");
  await mesh.pass(10_000);
  assert.equal(again.executor.status.homed, true, "nobody is kept out for ever");
  assert.equal(again.started.length, 1, "what the first one had runs again");
  assert.equal((await mesh.get(id ?? assert.fail())).attempt, 2);
});

test("rule 23: the executor inside its mesh is let in again when the process before it is unknown", async (t) => {
  const mesh = await meshRig(t);
  const embeddedExecutor = "embedded" as ExecutorId;
  const first = await mesh.scheduler("dev", { embeddedExecutor });
  const one = await mesh.executor("embedded", { selfFencing: false });
  await mesh.submit(1);
  await mesh.pass(1_000);
  assert.equal(one.started.length, 1);
  one.way.cut = true;
  first.kill();
  await mesh.scheduler("dev", { embeddedExecutor });
  const again = await mesh.executor("embedded", { selfFencing: false });
  await mesh.pass(60_000);
  assert.equal(again.executor.status.homed, true, "nobody is kept out for ever");
  assert.equal(again.started.length, 1);
  await mesh.pass(120_000);
  assert.equal((await mesh.store.executors.live()).length, 1, "the one in this process is not judged");
});

test("rule 23: a start that names the process before it goes on at once: RETRY runs again, FAIL is LOST", async (t) => {
  const mesh = await meshRig(t);
  const embeddedExecutor = "embedded" as ExecutorId;
  const first = await mesh.scheduler("dev", { embeddedExecutor });
  const one = await mesh.executor("embedded", { selfFencing: false });
  const [retried] = await mesh.submit(1);
  const [failed] = await mesh.submit(1, { policy: { ...defaultPolicy, lostPolicy: "FAIL" } });
  await mesh.pass(1_000);
  assert.equal(one.started.length, 2);
  one.way.cut = true;
  first.kill();
  await mesh.scheduler("dev", { embeddedExecutor });
  const { incarnation } = one.executor.status;
  const again = await mesh.executor("embedded", { selfFencing: false }, { lock: lockNaming(incarnation) });
  await mesh.pass(1_500);
  assert.equal(again.started.length, 1);
  assert.equal((await mesh.get(failed ?? assert.fail())).state, "LOST");
  assert.equal((await mesh.get(retried ?? assert.fail())).attempt, 2);
});

test("rule 16: an executor that was cut off goes on as one new incarnation that names the one before", async (t) => {
  const mesh = await meshRig(t);
  await mesh.scheduler("s-1");
  const noted: string[] = [];
  const lock = { previous: null, note: (incarnation: string) => void noted.push(incarnation), release: async () => {} };
  const one = await mesh.executor("one", {}, { lock });
  await mesh.pass(1_000);
  one.way.cut = true;
  await mesh.pass(40_000);
  assert.equal(noted.length, 1);
  await mesh.pass(4_500);
  one.way.cut = false;
  await mesh.pass(1_500);
  assert.equal(noted.length, 2, "one new incarnation");
  assert.equal(one.executor.status.homed, true, "and it is taken at once");
});
