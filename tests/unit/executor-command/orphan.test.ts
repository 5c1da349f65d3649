import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { type TestContext, test } from "node:test";
import { silentLogger } from "../../../services/common/runtime/log.ts";
import { SPAWN_MARK } from "../../../services/executor/spawner/group-ledger.ts";
import { killLeftovers } from "../../../services/executor/spawner/leftovers.ts";
import { bootId, groupLives, processStat } from "../../../services/executor/spawner/process-table.ts";
import { groupsFilePath, SystemSpawnerHost } from "../../../services/executor/spawner/system-spawner-host.ts";
import { Lifeline } from "../../support/lifeline.ts";
import { clock, commandSpec, dataFolder, ExecutorProcess, finallyDo, longCommand, setup } from "./setup.ts";

const depsOf = (folder: string) => ({ clock, log: silentLogger, host: new SystemSpawnerHost(folder) });

test("rule 22: commands and their spawner die when their executor is killed", async (t) => {
  const folder = dataFolder(t);
  const lifeline = new Lifeline(folder);
  finallyDo(t, () => lifeline.close());
  const executor = new ExecutorProcess(t, folder, 60_000, [longCommand(lifeline.path), longCommand(lifeline.path)]);
  await lifeline.written(2);
  await executor.kill();
  await lifeline.ended;
  await executor.gone;
});

test("rule 22: commands die when their executor hangs longer than its silence, and come back CUT_OFF", async (t) => {
  const folder = dataFolder(t);
  const lifeline = new Lifeline(folder);
  finallyDo(t, () => lifeline.close());
  const executor = new ExecutorProcess(t, folder, 400, [longCommand(lifeline.path)]);
  await lifeline.written(1);
  executor.child.kill("SIGSTOP");
  await lifeline.ended;
  executor.child.kill("SIGCONT");
  const { result } = await executor.line("ended");
  assert.equal(result.outcome.kind, "cut_off");
  assert.match(result.outcome.message, /^the executor was silent for \d+ ms$/);
});

test("rule 22: an executor that lives is not taken for silent", async (t) => {
  const { run } = await setup(t, { silenceMs: 200 });
  assert.deepEqual((await run("sleep 0.7")).outcome, { kind: "exited", exitCode: 0 });
});

test("rule 16: commands die when the fence passes, although the executor is not silent", async (t) => {
  const { spawner, begin, run } = await setup(t, { silenceMs: 60_000 });
  const command = await begin("sleep 1000");
  spawner.setFence(clock.monotonicMs() + 100);
  assert.deepEqual((await command.result).outcome, {
    kind: "cut_off",
    message: "the mesh did not hear of the executor in time",
  });
  assert.equal((await run("true")).outcome.kind, "cut_off", "nothing starts behind the fence");
  spawner.setFence(null);
  assert.equal((await run("true")).outcome.kind, "exited");
});

test("rule 16: a fence that is now kills at once, also what is being stopped with a grace", async (t) => {
  const { spawner, begin } = await setup(t, { silenceMs: null });
  const command = await begin("trap '' TERM; while :; do sleep 0.05; done", { killGraceMs: 60_000 });
  const fromMs = clock.monotonicMs();
  spawner.setFence(fromMs);
  command.stop("FENCED");
  const result = await command.result;
  assert.equal(result.exitCode, undefined);
  assert.ok(clock.monotonicMs() - fromMs < 450, "an executor that fences itself waits 500 ms");
});

test("rule 22: when the spawner dies its commands are killed, come back CUT_OFF, and another spawner runs the next", async (t) => {
  const { spawner, begin, run } = await setup(t);
  const commands = await Promise.all(["sleep 1000", "sleep 1000 & wait"].map((command) => begin(command)));
  const first = spawner.processId;
  assert.ok(first !== undefined);
  process.kill(first, "SIGKILL");
  const next = run("echo again");
  for (const command of commands) {
    const { outcome, processId } = await command.result;
    const message = "the spawner process died and its commands were killed";
    assert.deepEqual(outcome, { kind: "cut_off", message, mayHaveRun: true });
    assert.ok(processId !== undefined && !groupLives(processId));
  }
  assert.equal((await run("echo again")).stdoutTail, "again\n");
  // Given while nobody could know whether it ran: never a failure.
  assert.ok(["exited", "cut_off"].includes((await next).outcome.kind));
  assert.notEqual(spawner.processId, first);
});

test("rule 22: a spawner that hangs is as good as dead", async (t) => {
  const { spawner, begin, run } = await setup(t, { silenceMs: 200, hungMs: 300 });
  const command = await begin("sleep 1000");
  const first = spawner.processId;
  assert.ok(first !== undefined);
  process.kill(first, "SIGSTOP");
  const { outcome, processId } = await command.result;
  assert.equal(outcome.kind, "cut_off");
  assert.ok(processId !== undefined && !groupLives(processId) && !isRunning(first));
  assert.equal((await run("true")).outcome.kind, "exited");
});

test("rule 22: an executor that does not fence itself may stand still", async (t) => {
  const folder = dataFolder(t);
  const lifeline = new Lifeline(folder);
  finallyDo(t, () => lifeline.close());
  const script = `exec 9>"${lifeline.path}"; echo $$ >&9; sleep 0.5; exit 5`;
  const executor = new ExecutorProcess(t, folder, null, [script]);
  await lifeline.written(1);
  executor.child.kill("SIGSTOP");
  await lifeline.ended;
  executor.child.kill("SIGCONT");
  assert.deepEqual((await executor.line("ended")).result.outcome, { kind: "exited", exitCode: 5 });
});

test("rule 22: what spawner and executor left when both died is killed by the next start", async (t) => {
  const folder = dataFolder(t);
  const lifeline = new Lifeline(folder);
  finallyDo(t, () => lifeline.close());
  const executor = new ExecutorProcess(t, folder, 60_000, [longCommand(lifeline.path)]);
  const { spawner } = await executor.line("ready");
  await lifeline.written(1);
  // Stopped, the spawner does not see its executor go: as bad as dead, until somebody lets it run on.
  process.kill(spawner, "SIGSTOP");
  await executor.kill();
  assert.deepEqual(await killLeftovers(depsOf(folder)), { killedGroups: 1, reusedPids: 0 });
  await lifeline.ended;
  assert.ok(!isRunning(spawner));
  assert.deepEqual(await killLeftovers(depsOf(folder)), { killedGroups: 0, reusedPids: 0 });
});

test("rule 22: a pid that belongs to somebody else by now is not killed", async (t) => {
  const folder = dataFolder(t);
  const innocent = await startGroup(t, {});
  const stat = processStat(innocent);
  assert.ok(stat !== undefined);
  const head = `spawner 1 ${bootId()} feed ${innocent} ${stat.startTicks - 1} 0\n`;
  writeFileSync(groupsFilePath(folder), `${head}+ 1 ${innocent} ${stat.startTicks - 1}\n`);
  assert.deepEqual(await killLeftovers(depsOf(folder)), { killedGroups: 0, reusedPids: 1 });
  assert.ok(isRunning(innocent));
  writeFileSync(groupsFilePath(folder), `${head}+ 1 ${innocent} ${stat.startTicks}\n`);
  assert.deepEqual(await killLeftovers(depsOf(folder)), { killedGroups: 1, reusedPids: 0 });
  assert.ok(!isRunning(innocent));
});

test("rule 22: groups of another boot of the machine are not killed", async (t) => {
  const folder = dataFolder(t);
  const innocent = await startGroup(t, {});
  const ticks = processStat(innocent)?.startTicks;
  writeFileSync(groupsFilePath(folder), `spawner 1 another-boot feed 1 1 0\n+ 1 ${innocent} ${ticks}\n`);
  assert.deepEqual(await killLeftovers(depsOf(folder)), { killedGroups: 0, reusedPids: 0 });
  assert.ok(isRunning(innocent));
});

test("rule 22: a command that its spawner forked and did not note any more is found by its mark", async (t) => {
  const folder = dataFolder(t);
  const unnoted = await startGroup(t, { [SPAWN_MARK]: "feed.8" });
  const noted = await startGroup(t, { [SPAWN_MARK]: "feed.7" });
  const other = await startGroup(t, { [SPAWN_MARK]: "beef.8" });
  writeFileSync(groupsFilePath(folder), `spawner 1 ${bootId()} feed 1 1 3\n+ 7 999999999 1\n- 7\n`);
  assert.deepEqual(await killLeftovers(depsOf(folder)), { killedGroups: 1, reusedPids: 0 });
  assert.ok(!isRunning(unnoted));
  assert.ok(isRunning(noted), "it left its group and was noted: its command ended long ago");
  assert.ok(isRunning(other));
});

test("rule 22: stop kills what runs as CUT_OFF and ends the spawner", async (t) => {
  const { spawner, begin } = await setup(t);
  const command = await begin("trap '' TERM; sleep 1000");
  const pid = spawner.processId;
  await spawner.stop();
  assert.deepEqual((await command.result).outcome, { kind: "cut_off", message: "the executor stops" });
  assert.ok(pid !== undefined && !isRunning(pid));
  const late = spawner.run(commandSpec("true"), { onOutput: () => {} });
  assert.equal((await late.result).outcome.kind, "cut_off");
});

/** A process that leads a group and is none of ours; its pid. */
function startGroup(t: TestContext, env: Record<string, string>): Promise<number> {
  const child = spawn("sleep", ["1000"], { detached: true, stdio: "ignore", env: { PATH: "/usr/bin:/bin", ...env } });
  finallyDo(t, () => child.kill("SIGKILL"));
  return new Promise((resolve) => child.once("spawn", () => resolve(child.pid ?? 0)));
}

function isRunning(pid: number): boolean {
  const state = processStat(pid)?.state;
  return state !== undefined && state !== "Z" && state !== "X";
}
