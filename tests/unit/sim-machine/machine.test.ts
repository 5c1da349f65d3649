/** The production spawner, both its sides, on a simulated machine in virtual time (rule 22). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { GRACE_MS, Setup, SILENCE_MS } from "./setup.ts";

const long = { durationMs: 3_600_000 };
const stubborn = { ...long, ignoresTerm: true };

test("a command runs to its end, with its output, exit code and times", async () => {
  const setup = new Setup();
  const { run } = await setup.started();
  const result = await setup.result(run({ durationMs: 5_000, lines: ["one", "two"] }));
  assert.deepEqual(result.outcome, { kind: "exited", exitCode: 0 });
  assert.equal(result.stdoutTail, "one\ntwo\n");
  assert.ok(Math.abs(result.endUs - result.startUs - 5_000_000) < 20_000, `${result.endUs - result.startUs} µs`);
  assert.deepEqual((await setup.result(run({ exitCode: 3 }))).outcome, { kind: "exited", exitCode: 3 });
  assert.deepEqual(setup.history, ["started 1", "exited 1", "started 2", "exited 2"]);
  assert.deepEqual(setup.machine.running, []);
  assert.deepEqual(setup.machine.folders, []);
});

test("rule 24: a command past its timeout gets SIGTERM, and SIGKILL after the grace", async () => {
  const setup = new Setup();
  const { run } = await setup.started();
  const fromMs = setup.timeline.nowMs;
  assert.deepEqual((await setup.result(run(long, 1_000))).outcome, { kind: "timed_out" });
  assert.ok(Math.abs(setup.timeline.nowMs - fromMs - 1_000) < 50);
  const untilMs = setup.timeline.nowMs + 1_000 + GRACE_MS;
  assert.deepEqual((await setup.result(run(stubborn, 1_000))).outcome, { kind: "timed_out" });
  assert.ok(Math.abs(setup.timeline.nowMs - untilMs) < 50);
  assert.deepEqual(setup.history, ["started 1", "signaled 1", "started 2", "signaled 2"]);
});

test("rule 25: a command that is stopped ends as stopped, one that waits for its fork never starts", async () => {
  const setup = new Setup();
  const { run } = await setup.started();
  const [first, second] = [run(long), run(long)];
  second.stop("REROUTE");
  assert.deepEqual((await setup.result(second)).outcome, { kind: "stopped", reason: "REROUTE" });
  first.stop("CANCEL");
  assert.deepEqual((await setup.result(first)).outcome, { kind: "stopped", reason: "CANCEL" });
  assert.ok(!setup.history.includes("started 2"));
});

test("rule 22: when its executor dies the spawner kills all groups and leaves", async () => {
  const setup = new Setup();
  const { process, run } = await setup.started();
  run(long);
  run(stubborn);
  await setup.untilRunning(2);
  process.kill();
  await setup.pass(50);
  assert.deepEqual(setup.machine.running, []);
  assert.equal(setup.machine.spawner, undefined);
});

test("rule 22: a paused spawner kills the groups of its dead executor once it goes on", async () => {
  const setup = new Setup();
  const { process, run } = await setup.started();
  run(long);
  await setup.untilRunning(1);
  setup.machine.spawner?.pause();
  process.kill();
  await setup.pass(60_000);
  assert.equal(setup.machine.running.length, 1);
  setup.machine.spawner?.resume();
  await setup.pass(50);
  assert.deepEqual(setup.machine.running, []);
});

test("rule 22: commands of an executor that is paused past its silence are killed and come back CUT_OFF", async () => {
  const setup = new Setup();
  const { process, run } = await setup.started();
  const command = run(long);
  await setup.untilRunning(1);
  process.pause();
  await setup.pass(SILENCE_MS - 1_100);
  assert.equal(setup.machine.running.length, 1, "it is not silent for long enough yet");
  await setup.pass(1_200);
  assert.deepEqual(setup.machine.running, []);
  process.resume();
  const { outcome } = await setup.result(command);
  assert.equal(outcome.kind, "cut_off");
  assert.match("message" in outcome ? outcome.message : "", /^the executor was silent for \d+ ms$/);
  assert.deepEqual((await setup.result(run({}))).outcome, { kind: "exited", exitCode: 0 });
});

test("rule 22: an executor that lives is not taken for silent, also when the spawner was paused", async () => {
  const setup = new Setup();
  const { run } = await setup.started({ silenceMs: SILENCE_MS, hungMs: 600_000 });
  const command = run({ durationMs: 60_000, exitCode: 5 });
  await setup.untilRunning(1);
  setup.machine.spawner?.pause();
  await setup.pass(20_000);
  setup.machine.spawner?.resume();
  assert.deepEqual((await setup.result(command)).outcome, { kind: "exited", exitCode: 5 });
});

test("rule 22: signs of life that are old when the spawner reads them keep no command alive", async () => {
  const setup = new Setup();
  const { process, run } = await setup.started({ silenceMs: SILENCE_MS, hungMs: 600_000 });
  run(long);
  await setup.untilRunning(1);
  setup.machine.spawner?.pause();
  await setup.pass(3_000);
  const late = run(long);
  await setup.pass(100);
  process.pause();
  await setup.pass(SILENCE_MS + 1_000);
  setup.machine.spawner?.resume();
  await setup.pass(50);
  assert.deepEqual(setup.machine.running, []);
  process.resume();
  const { outcome, processId } = await setup.result(late);
  assert.deepEqual({ kind: outcome.kind, processId }, { kind: "cut_off", processId: undefined });
  assert.ok(!setup.history.includes("started 2"), "it was given too long ago");
});

test("rule 22: what a command leaves in its group is killed before its end is said", async () => {
  const setup = new Setup();
  const { run } = await setup.started();
  const command = run({ durationMs: 1_000, exitCode: 4, lingersMs: 60_000, ignoresTerm: true });
  assert.deepEqual((await setup.result(command)).outcome, { kind: "exited", exitCode: 4 });
  assert.deepEqual(setup.machine.running, []);
  assert.ok(setup.timeline.nowMs < 2_000);
});

test("rule 16: commands die when the fence passes, although the executor is not silent", async () => {
  const setup = new Setup();
  const { process, spawner, run } = await setup.started();
  const command = run(long);
  await setup.untilRunning(1);
  spawner.setFence(process.monotonicMs() + 500);
  const message = "the mesh did not hear of the executor in time";
  assert.deepEqual((await setup.result(command)).outcome, { kind: "cut_off", message });
});

test("rule 22: when the spawner dies the executor kills its groups and starts another", async () => {
  const setup = new Setup();
  const { spawner, run } = await setup.started();
  const first = spawner.processId;
  const command = run(stubborn);
  await setup.untilRunning(1);
  setup.machine.killSpawner();
  const message = "the spawner process died and its commands were killed";
  assert.deepEqual((await setup.result(command)).outcome, { kind: "cut_off", message, mayHaveRun: true });
  assert.deepEqual(setup.machine.running, [], "the end is said when the group is gone");
  assert.deepEqual((await setup.result(run({}))).outcome, { kind: "exited", exitCode: 0 });
  assert.notEqual(spawner.processId, first);
});

test("rule 22: a spawner that hangs is killed with its groups and replaced", async () => {
  const setup = new Setup();
  const { run } = await setup.started({ silenceMs: SILENCE_MS, hungMs: 10_000 });
  const command = run(long);
  await setup.untilRunning(1);
  setup.machine.spawner?.pause();
  assert.equal((await setup.result(command)).outcome.kind, "cut_off");
  assert.deepEqual(setup.machine.running, []);
  assert.deepEqual((await setup.result(run({}))).outcome, { kind: "exited", exitCode: 0 });
});

test("rule 22: what executor and spawner left when both died is killed before the next start resolves", async () => {
  const setup = new Setup();
  const { process, run } = await setup.started();
  run(stubborn);
  run(long);
  await setup.untilRunning(2);
  setup.machine.killSpawner();
  process.kill();
  await setup.pass(60_000);
  assert.equal(setup.machine.running.length, 2, "nobody is there to kill them");
  await setup.started();
  assert.deepEqual(setup.machine.running, []);
});

test("rule 22: a paused spawner of a dead executor, and what it runs, is killed by the next start", async () => {
  const setup = new Setup();
  const { process, run } = await setup.started();
  run(long);
  await setup.untilRunning(1);
  const { spawner } = setup.machine;
  spawner?.pause();
  process.kill();
  await setup.started();
  assert.deepEqual(setup.machine.running, []);
  assert.equal(spawner?.isAlive, false);
});

test("rule 22: a command that its spawner forked and did not note any more is found by its mark", async () => {
  const setup = new Setup();
  const { process, run } = await setup.started();
  run(long);
  await setup.untilRunning(1);
  setup.machine.killSpawnerInFork();
  run(long);
  await setup.untilRunning(2);
  process.kill();
  await setup.started();
  assert.deepEqual(setup.machine.running, []);
  assert.deepEqual(setup.machine.folders, []);
});

test("rule 22: after a reboot nobody is killed for a number that an old ledger names", async () => {
  const setup = new Setup();
  const { process, run } = await setup.started();
  run(long);
  await setup.untilRunning(1);
  await setup.pass(10);
  setup.machine.reboot();
  assert.deepEqual(setup.machine.running, []);
  // It has the number and the start time of the spawner before.
  const stranger = setup.machine.stranger();
  assert.deepEqual(setup.history.slice(-1), ["signaled 1"]);
  assert.ok(!process.isAlive && setup.machine.spawner === undefined);
  const next = await setup.started();
  assert.deepEqual((await setup.result(next.run({ exitCode: 7 }))).outcome, { kind: "exited", exitCode: 7 });
  assert.ok(stranger.isAlive);
});

test("stop ends what runs as CUT_OFF, and the spawner", async () => {
  const setup = new Setup();
  const { spawner, run } = await setup.started();
  const command = run(stubborn);
  await setup.untilRunning(1);
  await setup.until(spawner.stop());
  assert.deepEqual((await command.result).outcome, { kind: "cut_off", message: "the executor stops" });
  assert.equal(setup.machine.spawner, undefined);
});
