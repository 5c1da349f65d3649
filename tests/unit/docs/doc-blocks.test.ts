import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { blocksOf, commandsOf } from "../../support/doc-blocks.ts";

function page(t: TestContext, ...lines: string[]): string {
  const folder = mkdtempSync(join(tmpdir(), "jm-doc-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "page.md");
  writeFileSync(path, lines.join("\n"));
  return path;
}

test("a command goes on over open quotes, backslashes and pipes; its comment is apart", (t) => {
  const path = page(
    t,
    "```sh",
    "# a line of its own is none",
    'call -d \'{"a":',
    `  "it # is \\" no comment"}' \\`,
    "  host   # exits 3, because",
    `first "$(x 'y')" |`,
    "  second && third",
    "```",
  );
  const [one, two, ...others] = commandsOf(path);
  assert.deepEqual([one?.line, one?.comment], [3, "exits 3, because"]);
  assert.equal(one?.text, `call -d '{"a":\n  "it # is \\" no comment"}' \\\n  host`);
  assert.deepEqual([two?.line, two?.text, two?.shown], [6, `first "$(x 'y')" |\n  second && third`, null]);
  assert.deepEqual(others, []);
});

test("a text block belongs to the last command before it, a block of another language to none", (t) => {
  const path = page(
    t,
    "```sh",
    "one",
    "two",
    "```",
    "shows",
    "```text",
    "2",
    "```",
    "```sh",
    "three",
    "```",
    "```ts",
    "```",
  );
  assert.deepEqual(
    commandsOf(path).map(({ text, shown }) => [text, shown]),
    [
      ["one", null],
      ["two", "2"],
      ["three", null],
    ],
  );
});

test("a fence that would not be seen is a fault: indented, without a language, not closed; a command that is cut too", (t) => {
  for (const lines of [
    ["  ```sh", "x", "  ```"],
    ["```", "x", "```"],
    ["```sh", "x"],
  ]) {
    assert.throws(() => blocksOf(page(t, ...lines)), /fence/);
  }
  assert.throws(() => commandsOf(page(t, "```sh", "echo 'open", "```")), /does not end in its block/);
});
