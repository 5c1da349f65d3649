/** `jobmesh dev` where it cannot start: one clear line on standard error, no stack, a non-zero exit. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { openHandle } from "../../services/common/adapter/sqlite/handle.ts";
import { MeshProcesses, type Outcome } from "../support/mesh-process.ts";

/** Longest that a start which cannot succeed may take, on a busy machine. */
const REFUSAL_MS = 10_000;

/** One line that says what is wrong, for a person, and nothing else. */
function assertRefused(outcome: Outcome, pattern: RegExp): void {
  assert.equal(outcome.signal, null, outcome.stderr);
  assert.ok(outcome.code !== 0, `exit code ${outcome.code}`);
  assert.equal(outcome.stdout, "", "nothing that looks like a start");
  assert.match(outcome.stderr, /^jobmesh: .+\n$/, `one line: ${outcome.stderr}`);
  assert.doesNotMatch(outcome.stderr, /\n\s+at |node:internal|\[object|undefined/);
  assert.match(outcome.stderr, pattern);
}

async function occupied(t: TestContext): Promise<number> {
  const server: Server = createServer((socket) => socket.destroy()).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

function dev(processes: MeshProcesses, args: readonly string[], env: Record<string, string> = {}): Promise<Outcome> {
  const free = { JOBMESH_LISTEN: "127.0.0.1:0", JOBMESH_HTTP_LISTEN: "127.0.0.1:0" };
  return processes.run(["dev", ...args], { env: { ...free, ...env }, waitMs: REFUSAL_MS });
}

test("a port in use is named, for gRPC and for HTTP, with the setting that changes it", async (t) => {
  const processes = new MeshProcesses(t);
  const address = `127.0.0.1:${await occupied(t)}`;
  assertRefused(await dev(processes, ["--listen", address]), new RegExp(`${address}.*in use.*--listen`));
  assertRefused(await dev(processes, ["--http-listen", address]), new RegExp(`${address}.*in use.*--http-listen`));
});

test("an address of another machine is named", async (t) => {
  const processes = new MeshProcesses(t);
  assertRefused(await dev(processes, ["--listen", "192.0.2.1:0", "--insecure"]), /192\.0\.2\.1:0/);
});

test("a start that failed leaves the folder new: the next one makes the example jobs", async (t) => {
  const processes = new MeshProcesses(t);
  const dataDir = join(processes.folder(), "data");
  const address = `127.0.0.1:${await occupied(t)}`;
  assertRefused(await dev(processes, ["--data-dir", dataDir, "--listen", address]), /in use/);
  const mesh = await processes.dev({ dataDir });
  await mesh.printed(/SUCCEEDED example-hello/);
});

test("a data folder that cannot be used is named", async (t) => {
  const processes = new MeshProcesses(t);
  const folder = processes.folder();
  writeFileSync(join(folder, "file"), "not a folder");
  assertRefused(await dev(processes, ["--data-dir", join(folder, "file")]), /data folder .*\/file/);
  assertRefused(await dev(processes, ["--data-dir", join(folder, "file", "below")]), /data folder .*\/file\/below/);
  // Who may write everywhere, as root may, still makes no folder there.
  for (const path of ["/proc/jobmesh", "/sys/jobmesh/data"])
    assertRefused(await dev(processes, ["--data-dir", path]), new RegExp(`data folder ${path} `));
  const closed = join(folder, "closed");
  mkdirSync(closed);
  chmodSync(closed, 0o500);
  if (process.getuid?.() !== 0) assertRefused(await dev(processes, ["--data-dir", closed]), /data folder .*\/closed/);
});

test("a data file that is no database is named, and stays as it was", async (t) => {
  const processes = new MeshProcesses(t);
  const folder = processes.folder();
  writeFileSync(join(folder, "jobmesh.db"), "this is not a database, it only has its name".repeat(100));
  assertRefused(await dev(processes, ["--data-dir", folder]), /jobmesh\.db.*not a database/);
});

test("a data folder of a newer version is refused and not changed", async (t) => {
  const processes = new MeshProcesses(t);
  const dataDir = processes.folder();
  const mesh = await processes.dev({ dataDir });
  await mesh.end("SIGINT");
  const handle = openHandle(join(dataDir, "jobmesh.db"), 1_000);
  const [table] = handle.prepare("SELECT name FROM sqlite_master WHERE name LIKE '%migrations%'").all([]);
  handle.exec(`INSERT INTO ${String(table?.name)} (timestamp, name) VALUES (9999999999999, 'Later9999999999999')`);
  handle.close();
  assertRefused(await dev(processes, ["--data-dir", dataDir]), /newer version/);
});

test("a folder that another process uses is named, and that process goes on", async (t) => {
  const processes = new MeshProcesses(t);
  const dataDir = processes.folder();
  const mesh = await processes.dev({ dataDir });
  assertRefused(await dev(processes, ["--data-dir", dataDir]), /another process/);
  assert.equal((await fetch(`http://${mesh.httpAddress}/readyz`)).status, 200);
});

test("every bad setting is named with its value and its limit, all at once, before anything is made", async (t) => {
  const processes = new MeshProcesses(t);
  const cwd = processes.folder();
  const cases: [args: string[], env: Record<string, string>, patterns: RegExp[]][] = [
    [["--listen", "nowhere"], {}, [/--listen|JOBMESH_LISTEN/, /nowhere/]],
    [["--slots", "0"], {}, [/--slots|JOBMESH_SLOTS/, /1 to 100000/]],
    [["--heartbeat", "1"], {}, [/--heartbeat|JOBMESH_HEARTBEAT/]],
    [["--labels", "zone"], {}, [/--labels|JOBMESH_LABELS/]],
    [["--log-level", "loud"], {}, [/loud/, /debug/]],
    [["--store", "postgres://db/jobmesh"], {}, [/--store|JOBMESH_STORE/, /sqlite:PATH/]],
    [[], { JOBMESH_SLOT: "3" }, [/JOBMESH_SLOT\b/, /JOBMESH_SLOTS/]],
    [["--slot", "3"], {}, [/--slot\b/, /--slots/]],
    [["--lease", "5s", "--loss", "4s"], {}, [/--loss|JOBMESH_LOSS/, /--lease/]],
    [["--slots", "0", "--listen", "x"], { JOBMESH_HTTP_LISTEN: "y" }, [/--slots/, /--listen/]],
  ];
  for (const [args, env, patterns] of cases) {
    const outcome = await processes.run(["dev", ...args], { cwd, env, waitMs: REFUSAL_MS });
    for (const pattern of patterns) assertRefused(outcome, pattern);
  }
  assert.deepEqual(readdirSync(cwd), [], "nothing was made");
});

test("what is no command is named", async (t) => {
  const processes = new MeshProcesses(t);
  assertRefused(await processes.run(["deploy"]), /"deploy"/);
  assertRefused(await dev(processes, ["extra"]), /extra/);
});

test("a listener beyond loopback does not start without --insecure, and warns with it", async (t) => {
  const processes = new MeshProcesses(t);
  assertRefused(await dev(processes, ["--listen", "0.0.0.0:0"]), /--listen.*--insecure allows it.*0\.0\.0\.0:0/);
  assertRefused(
    await dev(processes, ["--http-listen", "0.0.0.0:0"]),
    /--http-listen.*--insecure allows it.*0\.0\.0\.0:0/,
  );
  const mesh = await processes.dev({ dataDir: processes.folder(), listen: "0.0.0.0:0", args: ["--insecure"] });
  await mesh.printed(/insecure|without TLS/i, { stream: "stderr" });
  assert.match(mesh.stderr, /0\.0\.0\.0:\d+/);
  assert.deepEqual(await mesh.end("SIGINT"), { code: 0, signal: null });
});
