/**
 * The first minute of a newcomer: a clone without node_modules, the machine's
 * own Node and npm, `npm start`, then the commands that it proposes. It fetches
 * what package-lock.json names as npm is set up here, from its cache where that has it.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import { test } from "node:test";
import { MeshProcesses } from "../support/mesh-process.ts";

/** Longest that `npm ci` and the first start may take; about 20 s and 2 s where nothing else runs. */
const READY_MS = 240_000;
/** The first results of the example jobs are printed this soon after readiness. */
const FIRST_RESULTS_MS = 3_000;

test("npm start in a fresh clone installs, is ready, shows first results within 3 s, ends at Ctrl-C", async (t) => {
  const processes = new MeshProcesses(t);
  const clone = join(processes.folder(), "clone");
  const cloned = spawnSync("git", ["clone", "--quiet", "--no-hardlinks", resolve("."), clone], { encoding: "utf8" });
  assert.equal(cloned.status, 0, cloned.stderr);
  assert.equal(existsSync(join(clone, "node_modules")), false);
  const env = newcomersEnvironment();
  const startedMs = performance.now();
  // A session of its own, as a terminal gives one: Ctrl-C reaches npm and what it started alike.
  const args = ["start", "--", "--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--data-dir", "data"];
  const mesh = processes.start(args, { program: ["setsid", "npm"], cwd: clone, env });
  t.after(() => pressCtrlC(mesh.pid, "SIGKILL"));
  await mesh.printed(/ is ready\n/, { waitMs: READY_MS });
  const readyMs = performance.now();
  await mesh.printed(/SUCCEEDED example-hello/, { waitMs: FIRST_RESULTS_MS });
  await mesh.printed(/SUCCEEDED example-disk/, { waitMs: FIRST_RESULTS_MS });
  const [, address = ""] = await mesh.printed(/^ {2}gRPC +(\S+)$/m);
  t.diagnostic(
    `ready after ${seconds(readyMs - startedMs)}, first results ${seconds(performance.now() - readyMs)} later`,
  );

  const program = ["npx"];
  const status = await processes.run(["jobmesh", "status", "--scheduler", address], { program, cwd: clone, env });
  assert.equal(status.code, 0, status.stderr);
  assert.match(status.stdout, /^store sqlite: healthy$/m);
  const runArgs = ["jobmesh", "run", "--scheduler", address, "--", "echo hello; exit 3"];
  const run = await processes.run(runArgs, { program, cwd: clone, env });
  assert.deepEqual([run.code, run.stdout], [3, "hello\n"], run.stderr);

  pressCtrlC(mesh.pid, "SIGINT");
  // npm, or the shell that it runs scripts in, may show the signal as its own end; the mesh has its words before.
  const { code, signal } = await mesh.ended;
  assert.ok(code === 0 || signal === "SIGINT", `${code} ${signal}\n${mesh.stderr}`);
  assert.match(mesh.stdout, /^stopping\b.*\n$/m);
  assert.doesNotMatch(mesh.stderr, /npm error/);
  const { stdout } = spawnSync("git", ["status", "--porcelain"], { cwd: clone, encoding: "utf8" });
  assert.equal(stdout.replace(/^\?\? data\/\n/m, ""), "", "nothing that git tracks has changed");
});

/** To everything of the session, as a terminal does it. */
function pressCtrlC(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // It has ended.
  }
}

/** Ours without what npm told its scripts, and with the machine's own programs alone. */
function newcomersEnvironment(): Record<string, string | undefined> {
  const said =
    /^(?:npm_(?:lifecycle|package|command|execpath|node_execpath)|npm_config_(?:local_prefix|global_prefix|prefix|node_gyp)|INIT_CWD|NODE$)/;
  const names = Object.keys(process.env).filter((name) => said.test(name));
  const folders = (process.env.PATH ?? "").split(delimiter).filter((folder) => !folder.endsWith("node_modules/.bin"));
  const removed = Object.fromEntries(names.map((name) => [name, undefined]));
  // How this machine reaches its registry is its own.
  const { NODE_EXTRA_CA_CERTS } = process.env;
  return { ...removed, NODE_EXTRA_CA_CERTS, PATH: folders.join(delimiter) };
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
