import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { PROCESSES, type Settings } from "../../../services/common/config/process-settings.ts";
import { renderConfigTable, renderHelp } from "../../../services/common/config/render-settings.ts";
import { flagOf } from "../../../services/common/config/setting.ts";

test("docs/config.md is what the settings say", async () => {
  const written = await readFile(new URL("../../../docs/config.md", import.meta.url), "utf8");
  assert.equal(written, renderConfigTable(), "write it again: node scripts/docs.ts");
});

test("help names every option of the process and no other", () => {
  const help = renderHelp("executor", "jobmesh executor [options]");
  const settings: Settings = PROCESSES.executor;
  const flags = Object.values(settings).flatMap(({ env }) => flagOf(env) ?? []);
  assert.deepEqual(
    help.match(/^ {2}--[a-z-]+/gm)?.map((flag) => flag.trim()),
    [...flags, "--help"],
  );
  assert.ok(help.split("\n").every((line) => line.length <= 140));
});
