/**
 * The pages do what they say: every command of README.md and docs/*.md runs,
 * those of a mesh on real backends in docs-distributed.test.ts, the others here
 * on an embedded mesh; every piece of source is a piece of a file that is
 * compiled and run.
 */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ensureGrpcurl } from "../../scripts/tools.ts";
import { blocksOf, docPages } from "../support/doc-blocks.ts";
import { embeddedCommands, NOT_RUN } from "../support/doc-runs.ts";
import { DocShell } from "../support/doc-shell.ts";
import { MeshProcesses } from "../support/mesh-process.ts";

/** Languages of blocks that are files, or pieces of files, of examples/. */
const QUOTED = ["ts", "proto", "yaml", "json"];
/** Languages that are looked at elsewhere: sh and the text after it are run, sql is run on MariaDB. */
const OTHER = ["sh", "text", "sql"];

for (const page of docPages()) {
  const commands = embeddedCommands(page);
  if (commands.length === 0) continue;
  test(`${page}: its ${commands.length} commands run on an embedded mesh`, async (t) => {
    const processes = new MeshProcesses(t);
    const grpcurl = await ensureGrpcurl();
    const mesh = await processes.dev({ dataDir: join(processes.folder(), "data") });
    const shell = new DocShell(processes, {
      grpcurl,
      replaced: { "127.0.0.1:7070": mesh.address, "127.0.0.1:7071": mesh.httpAddress },
      env: { JOBMESH_SCHEDULER: mesh.address },
      scheduler: mesh.address,
    });
    for (const command of commands) await shell.run(command);
  });
}

test("a command that no test of the pages runs is listed, with the test that covers it", () => {
  const pages = docPages().map((page) => readFileSync(page, "utf8"));
  for (const { command, file, test: name } of NOT_RUN) {
    assert.ok(
      pages.some((text) => text.includes(command)),
      `${command} stands in no page: take it off the list`,
    );
    assert.ok(
      readFileSync(file, "utf8").includes(name),
      `${file} has no ${JSON.stringify(name)}, which covers ${command}`,
    );
  }
});

test("what a page shows of source is a piece of a file in examples/, which is compiled and run", () => {
  const files = globSync("examples/**/*.{ts,proto,yaml,json}").map((path) => readFileSync(path, "utf8"));
  for (const block of docPages().flatMap(blocksOf)) {
    const place = `${block.page}:${block.line}`;
    if (OTHER.includes(block.language)) continue;
    assert.ok(QUOTED.includes(block.language), `${place}: nothing checks a block of ${block.language}`);
    assert.ok(
      files.some((text) => text.includes(block.text)),
      `${place} is no piece of a file in examples/:\n${block.text}`,
    );
  }
});
