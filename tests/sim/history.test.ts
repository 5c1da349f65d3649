/** One seed gives one history; what a seed prints, traces and shrinks to. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { run } from "./run.ts";
import { readTable } from "./table.ts";

const main = join(import.meta.dirname, "main.ts");

function sim(...args: readonly string[]): { readonly status: number | null; readonly text: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], { encoding: "utf8" });
  assert.equal(stderr, "");
  return { status, text: stdout };
}

test("one seed gives one history, to the byte, in this process and in another", async () => {
  const [first, second] = [await run({ seed: 4 }), await run({ seed: 4 })];
  assert.equal(first.verdict, null);
  assert.ok(first.executions > 10 && first.faults.size > 0, "something happened");
  assert.equal(second.fingerprint, first.fingerprint);
  const other = sim("--seed", "4", "--json", "--fingerprint");
  assert.deepEqual(JSON.parse(other.text), { seed: 4, fingerprint: first.fingerprint });
});

test("another seed gives another history", async () => {
  const [first, second] = [await run({ seed: 5 }), await run({ seed: 6 })];
  assert.notEqual(first.fingerprint, second.fingerprint);
});

test("--trace writes every line of the history, each with its time and who it happened to", async () => {
  const lines: string[] = [];
  const report = await run({ seed: 8, write: (line) => lines.push(line) });
  const { status, text } = sim("--seed", "8", "--trace");
  assert.equal(status, 0);
  const printed = text.trimEnd().split("\n").slice(0, -1);
  assert.deepEqual(printed, lines);
  assert.deepEqual(report.lastLines, lines.slice(-report.lastLines.length));
  for (const line of lines) assert.match(line, /^\d+\.\d{3} \S+ \S/);
});

test("--steps ends load and faults after so many events", async () => {
  const [whole, part] = [await run({ seed: 9 }), await run({ seed: 9, steps: 2_000 })];
  assert.equal(part.verdict, null);
  assert.ok(part.virtualMs < whole.virtualMs);
});

test("a seed that fails prints its last events, the broken promise and the command that replays it", () => {
  const [row] = readTable();
  assert.ok(row !== undefined);
  const { status, text } = sim("--seed", String(row.seed), "--mutation", row.mutation);
  assert.equal(status, 1);
  assert.match(text, new RegExp(`broken is "${row.checker}"`));
  assert.ok(text.includes(`npm run sim -- --seed ${row.seed} --mutation "${row.mutation}" --trace`), text);
  assert.ok(text.split("\n").filter((line) => /^ {2}\d+\.\d{3} /.test(line)).length > 5, "the last events");
});

test("--shrink leaves out faults and load while the same promise is broken", () => {
  // It needs no fault at all.
  const row = readTable().find(({ checker }) => checker === "a request_id has one execution");
  assert.ok(row !== undefined);
  const { status, text } = sim("--seed", String(row.seed), "--mutation", row.mutation, "--shrink");
  assert.equal(status, 1);
  assert.match(text, new RegExp(`broken is "${row.checker}"`));
  const [, kinds = "", load = ""] = /what is left: faults (\{.*\}), load (\{.*\}), \d+ ms/.exec(text) ?? [];
  const { weights } = JSON.parse(kinds) as { readonly weights: Readonly<Record<string, number>> };
  assert.deepEqual(weights, {});
  const { cancels, jobs, timeoutShare } = JSON.parse(load) as Readonly<Record<string, number>>;
  assert.deepEqual([cancels, jobs, timeoutShare], [0, 0, 0]);
});

test("a wrong number, and a mutation that nobody knows, are refused", () => {
  const wrong = spawnSync(process.execPath, [main, "--seed", "seven"], { encoding: "utf8" });
  assert.deepEqual([wrong.status, wrong.stderr], [2, "--seed has to be a number\n"]);
  const unknown = spawnSync(process.execPath, [main, "--mutation", "nothing"], { encoding: "utf8" });
  assert.deepEqual([unknown.status, unknown.stderr], [2, 'there is no mutation "nothing"\n']);
});
