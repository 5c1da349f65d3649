import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import fs, { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { ExecutorId, Incarnation } from "../../../services/common/domain/identifier.ts";
import { JobmeshError } from "../../../services/common/error/jobmesh-error.ts";
import { SystemRandom } from "../../../services/common/runtime/system-random.ts";
import { lockFolder } from "../../../services/executor/lock.ts";
import { bootId } from "../../../services/executor/spawner/process-table.ts";
import { setup } from "./setup.ts";

const random = new SystemRandom();
const me = "executor-1" as ExecutorId;

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "jobmesh-lock-"));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Another process that takes the lock, notes an incarnation, and is killed. */
async function killedHolder(dataDir: string, incarnation: string): Promise<void> {
  const program = `
    import { lockFolder } from ${JSON.stringify(new URL("../../../services/executor/lock.ts", import.meta.url).href)};
    import { SystemRandom } from ${JSON.stringify(new URL("../../../services/common/runtime/system-random.ts", import.meta.url).href)};
    (await lockFolder(process.argv[1], "executor-1", new SystemRandom())).note(process.argv[2]);
    process.stdout.write("held");
    process.stdin.resume();`;
  const args = ["--input-type=module", "--no-warnings", "-e", program, dataDir, incarnation];
  const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] });
  await once(child.stdout, "data");
  child.kill("SIGKILL");
  await once(child, "exit");
}

test("rule 23: a second process on the folder is refused while the first is alive", async (t) => {
  const dataDir = folder(t);
  const first = await lockFolder(dataDir, me, random);
  const refused = await lockFolder(dataDir, me, random).catch((error: unknown) => error);
  assert.ok(refused instanceof JobmeshError);
  assert.equal(refused.reason, "EXECUTOR_ID_TAKEN");
  await first.release();
  const second = await lockFolder(dataDir, me, random);
  await second.release();
});

test("rule 23: of several that find a dead lock at once, one has it", async (t) => {
  const dataDir = folder(t);
  await killedHolder(dataDir, "dead");
  const tries = await Promise.allSettled(Array.from({ length: 8 }, () => lockFolder(dataDir, me, random)));
  const held = tries.filter((each) => each.status === "fulfilled");
  assert.equal(held.length, 1);
  await held[0]?.value.release();
});

test("rule 23: the incarnation of a process that was killed on this boot is named as the one before", async (t) => {
  const dataDir = folder(t);
  await killedHolder(dataDir, "killed-1");
  const lock = await lockFolder(dataDir, me, random);
  assert.equal(lock.previous, "killed-1");
  const rig = await setup(t, { deps: { lock } });
  assert.equal(rig.homes.last.hello.previousIncarnation, "killed-1");
  const holder: unknown = JSON.parse(readFileSync(join(dataDir, "executor.json"), "utf8"));
  assert.deepEqual(holder, { executorId: me, incarnation: rig.executor.status.incarnation, bootId: bootId() });
});

test("rule 23: under another boot id, or another executor_id, the lease decides", async (t) => {
  const dataDir = folder(t);
  const note = (holder: unknown) => writeFileSync(join(dataDir, "executor.json"), JSON.stringify(holder));
  for (const holder of [
    { executorId: me, incarnation: "old", bootId: "another-boot" },
    { executorId: "another", incarnation: "old", bootId: bootId() },
    { executorId: me, incarnation: 5 },
    "torn",
  ]) {
    note(holder);
    const lock = await lockFolder(dataDir, me, random);
    assert.equal(lock.previous, null, JSON.stringify(holder));
    await lock.release();
  }
});

test("an orderly stop leaves a note, and the next start names it", async (t) => {
  const dataDir = folder(t);
  const first = await lockFolder(dataDir, me, random);
  first.note("first" as Incarnation);
  await first.release();
  const second = await lockFolder(dataDir, me, random);
  assert.equal(second.previous, "first");
  await second.release();
});

test("a folder whose path is too long for a socket is refused by name", async (t) => {
  const dataDir = join(folder(t), "x".repeat(100));
  await assert.rejects(lockFolder(dataDir, me, random), { reason: "DATA_DIR_UNUSABLE" });
});

test("rule 23: who loses the lock to others sixteen times believes that they have it", async (t) => {
  const dataDir = folder(t);
  const link = t.mock.method(fs, "linkSync", () => {
    throw Object.assign(new Error("file exists"), { code: "EEXIST" });
  });
  syncBuiltinESMExports();
  t.after(() => {
    link.mock.restore();
    syncBuiltinESMExports();
  });
  await assert.rejects(lockFolder(dataDir, me, random), { reason: "EXECUTOR_ID_TAKEN" });
  assert.equal(link.mock.callCount(), 16);
});
