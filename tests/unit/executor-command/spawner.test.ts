import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, realpathSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { MAX_FRAME_BYTES } from "../../../services/executor/spawner/frame.ts";
import { readGroupFile } from "../../../services/executor/spawner/group-file.ts";
import { SPAWN_MARK } from "../../../services/executor/spawner/group-ledger.ts";
import { groupLives, processStat } from "../../../services/executor/spawner/process-table.ts";
import { groupsFilePath, workRootPath } from "../../../services/executor/spawner/system-spawner-host.ts";
import { commandSpec, setup } from "./setup.ts";

test("a command's exit code is its outcome", async (t) => {
  const { run } = await setup(t);
  for (const exitCode of [0, 1, 2, 127, 255]) {
    const result = await run(`exit ${exitCode}`);
    assert.deepEqual(result.outcome, { kind: "exited", exitCode });
    assert.equal(result.exitCode, exitCode);
    assert.ok(result.endUs >= result.startUs);
  }
});

test("a command that a signal ends has the signal's name and no exit code", async (t) => {
  const { run } = await setup(t);
  const result = await run("kill -SEGV $$");
  assert.deepEqual(result.outcome, { kind: "signaled", signal: "SIGSEGV" });
  assert.equal(result.exitCode, undefined);
});

test("a command line goes through the shell, a program with arguments does not", async (t) => {
  const { run } = await setup(t);
  assert.equal((await run("echo $((1 + 1)) 'a  b'")).stdoutTail, "2 a  b\n");
  assert.equal((await run("echo", { args: ["$((1 + 1))", "a  b", "*"] })).stdoutTail, "$((1 + 1)) a  b *\n");
});

test("a command gets exactly the environment of its spec and its spawner's mark", async (t) => {
  const { run } = await setup(t);
  const env = { PATH: "/usr/bin:/bin", GREETING: "grüß dich", EMPTY: "" };
  const { stdout } = await run("cat", { args: ["/proc/self/environ"], env });
  const entries = stdout
    .toString()
    .split("\0")
    .filter((entry) => entry !== "");
  assert.deepEqual(entries.filter((entry) => !entry.startsWith(`${SPAWN_MARK}=`)).sort(), [
    "EMPTY=",
    "GREETING=grüß dich",
    "PATH=/usr/bin:/bin",
  ]);
  assert.equal(entries.length, 4);
});

test("rule 22: a command does not hold the socket by which its spawner hears of the executor's end", async (t) => {
  const { run } = await setup(t);
  const { stdoutTail } = await run("ls -l /proc/self/fd");
  assert.deepEqual(stdoutTail.match(/(?<= )\d+(?= -> socket:)/g), ["1", "2"]);
});

test("standard input is given whole and then closed", async (t) => {
  const { run } = await setup(t);
  const stdin = Buffer.alloc(256 * 1024, "0123456789abcdef");
  assert.deepEqual((await run("cat", { args: ["-"], stdin })).stdout, stdin);
  assert.equal((await run("wc -c", { stdin: Buffer.alloc(0) })).stdoutTail.trim(), "0");
  assert.equal((await run("wc -c")).stdoutTail.trim(), "0");
});

test("a command that does not read its input ends as it wants", async (t) => {
  const { run } = await setup(t);
  assert.deepEqual((await run("exit 4", { stdin: Buffer.alloc(256 * 1024) })).outcome, { kind: "exited", exitCode: 4 });
});

test("without a working directory a command has a fresh one that is removed with all its content", async (t) => {
  const { spawner, folder, run } = await setup(t);
  const result = await run("ls -A; mkdir -p a/b; echo x > a/b/c; pwd");
  const own = result.stdoutTail.trim();
  assert.equal(own.startsWith(realpathSync(workRootPath(folder))), true, own);
  assert.notEqual((await run("pwd")).stdoutTail.trim(), own);
  await spawner.stop();
  assert.deepEqual(readdirSync(workRootPath(folder)), []);
});

test("a working directory that is given is used and kept", async (t) => {
  const { folder, run } = await setup(t);
  const own = join(folder, "own");
  mkdirSync(own);
  assert.equal((await run("touch kept; pwd -P", { workingDirectory: own })).stdoutTail.trim(), realpathSync(own));
  assert.ok(existsSync(join(own, "kept")));
});

test("a start that fails says clearly why", async (t) => {
  const { folder, run } = await setup(t);
  const missing = join(folder, "none");
  const plain = join(folder, "plain");
  writeFileSync(plain, "text", { mode: 0o600 });
  const cases = [
    [
      await run("true", { workingDirectory: missing }),
      "ENOENT",
      `working directory "${missing}" is not a folder that exists`,
    ],
    [
      await run("no-such-program", { args: ["x"] }),
      "ENOENT",
      'program "no-such-program" or its interpreter was not found',
    ],
    [await run(plain, { args: ["x"] }), "EACCES", /^program ".*plain" may not be executed/],
    [await run("echo", { args: ["a\0b"] }), "ERR_INVALID_ARG_VALUE", /may not hold NUL$/],
    [await run("echo", { args: ["x".repeat(3_000_000)] }), "E2BIG", /too long/],
    [await run("echo", { args: ["x".repeat(5_000_000)] }), "E2BIG", /bytes in all$/],
  ] as const;
  for (const [result, code, message] of cases) {
    assert.equal(result.outcome.kind, "spawn_failed", String(message));
    assert.equal(result.outcome.code, code);
    if (typeof message === "string") assert.equal(result.outcome.message, message);
    else assert.match(result.outcome.message, message);
    assert.equal(result.processId, undefined);
  }
});

test("rule 24: a command past its timeout gets SIGTERM and may end in its own way", async (t) => {
  const { run } = await setup(t);
  const result = await run("trap 'echo bye; exit 7' TERM; sleep 1000 & wait", { timeoutMs: 150, killGraceMs: 60_000 });
  assert.deepEqual(result.outcome, { kind: "timed_out" });
  assert.equal(result.exitCode, 7);
  assert.equal(result.stdoutTail, "bye\n");
  assert.ok(result.endUs - result.startUs >= 150_000);
});

test("rule 24: a command that ignores SIGTERM gets SIGKILL after the grace", async (t) => {
  const { run } = await setup(t);
  const result = await run("trap '' TERM; while :; do sleep 0.05; done", { timeoutMs: 100, killGraceMs: 150 });
  assert.deepEqual(result.outcome, { kind: "timed_out" });
  assert.equal(result.exitCode, undefined);
  assert.ok(result.endUs - result.startUs >= 250_000);
});

test("rule 25: a stop ends a command with its caller's reason", async (t) => {
  const { begin } = await setup(t);
  const abort = new AbortController();
  const bySignal = await begin("sleep 1000", {}, { signal: abort.signal });
  const byCall = await begin("trap '' TERM; while :; do sleep 0.05; done", { killGraceMs: 100 });
  abort.abort("CANCEL");
  byCall.stop("TIMEOUT");
  byCall.stop("CANCEL");
  assert.deepEqual((await bySignal.result).outcome, { kind: "stopped", reason: "CANCEL" });
  assert.deepEqual((await byCall.result).outcome, { kind: "stopped", reason: "TIMEOUT" });
});

test("a command that is stopped before its start does not start", async (t) => {
  const { spawner, run } = await setup(t);
  const before = spawner.run(commandSpec("true"), { onOutput: () => {}, signal: AbortSignal.abort("CANCEL") });
  const queued = spawner.run(commandSpec("true"), { onOutput: () => {} });
  queued.stop("PAUSED");
  for (const [command, reason] of [
    [before, "CANCEL"],
    [queued, "PAUSED"],
  ] as const) {
    const result = await command.result;
    assert.deepEqual(result.outcome, { kind: "stopped", reason });
    assert.equal(result.processId, undefined);
  }
  assert.equal((await run("true")).exitCode, 0);
});

test("rule 22: descendants that a command leaves in its group are gone when its end is said", async (t) => {
  const { run } = await setup(t);
  const result = await run("(trap '' TERM HUP; sleep 1000) & sleep 1000 & echo $!; exit 3");
  assert.deepEqual(result.outcome, { kind: "exited", exitCode: 3 });
  assert.ok(result.processId !== undefined && !groupLives(result.processId));
});

test("a process that left the group does not hold up the result by the outputs that it keeps open", async (t) => {
  const { run } = await setup(t);
  const result = await run("setsid sleep 1000 & echo $!; exit 0");
  const escaped = Number(result.stdoutTail);
  t.after(() => process.kill(escaped, "SIGKILL"));
  assert.deepEqual(result.outcome, { kind: "exited", exitCode: 0 });
  assert.ok(processStat(escaped) !== undefined);
});

test("200 commands run at once, each with its own output", async (t) => {
  const { spawner, begin, run, folder } = await setup(t);
  const running = await Promise.all(Array.from({ length: 200 }, () => begin("sleep", { args: ["1000"] })));
  assert.equal(readGroupFile(groupsFilePath(folder))?.groups.length, 200);
  for (const command of running) command.stop("CANCEL");
  const results = await Promise.all(running.map((command) => command.result));
  assert.ok(results.every((result) => result.outcome.kind === "stopped"));
  const said = await Promise.all(Array.from({ length: 200 }, (_, index) => run(`echo ${index}; echo ${index} >&2`)));
  for (const [index, result] of said.entries()) {
    assert.equal(result.stdoutTail, `${index}\n`);
    assert.equal(result.stderrTail, `${index}\n`);
  }
  assert.deepEqual(readGroupFile(groupsFilePath(folder))?.groups, []);
  await spawner.stop();
});

test("a command has 4 MiB less 1 KiB with all that belongs to it; a larger one is not started", async (t) => {
  const { run } = await setup(t);
  const most = MAX_FRAME_BYTES - 1024;
  const tooLarge = await run("wc -c", { stdin: Buffer.alloc(most) });
  assert.ok(tooLarge.outcome.kind === "spawn_failed" && tooLarge.outcome.code === "E2BIG");
  const bytes = Number(/\d+/.exec(tooLarge.outcome.message)?.[0]);
  const room = most - (bytes - most);
  assert.equal((await run("wc -c", { stdin: Buffer.alloc(room) })).stdoutTail.trim(), String(room));
  const { outcome } = await run("wc -c", { stdin: Buffer.alloc(room + 1) });
  assert.deepEqual(outcome, {
    kind: "spawn_failed",
    code: "E2BIG",
    message: `the command has ${most + 1} bytes in all`,
  });
});
