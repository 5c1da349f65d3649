/**
 * Installs what the tests' servers need where it is missing: Debian packages by apt-get (as root), files of our own
 * under the cache folder. Everything here may run in several processes at once; a file lock lets one do the work.
 */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants, statSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";

/** Where downloaded servers and tools are kept between runs and clones: $XDG_CACHE_HOME/jobmesh or ~/.cache/jobmesh. */
export const cacheFolder: string = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "jobmesh");

/** Something that cannot be had on this machine; the message says what, why, and what else would do, in one line. */
export class NotInstallable extends Error {
  override readonly name = "NotInstallable";
}

/** A program that comes with a Debian package. */
export interface DebianProgram {
  /** The program's file name, such as "etcd". */
  readonly program: string;
  /** The packages to install when it is missing. */
  readonly packages: readonly string[];
  /** What a person can do instead, as the end of the message, such as "or set JOBMESH_TEST_ETCD". */
  readonly otherwise: string;
}

const systemFolders = [
  "/usr/local/sbin",
  "/usr/local/bin",
  "/usr/sbin",
  "/usr/bin",
  "/sbin",
  "/bin",
  "/usr/local/go/bin",
];

/** The full path of a program on PATH or in a system folder; undefined when it is not installed. */
export function findBinary(program: string): string | undefined {
  for (const folder of [...(process.env.PATH ?? "").split(delimiter), ...systemFolders]) {
    const file = join(folder, program);
    if (folder !== "" && isExecutable(file)) return file;
  }
  return undefined;
}

/** The full path of a program, after installing its packages where it is missing. Throws NotInstallable. */
export async function ensureProgram({ program, packages, otherwise }: DebianProgram): Promise<string> {
  const found = findBinary(program);
  if (found) return found;
  const missing = `${program} is not installed`;
  const aptGet = findBinary("apt-get");
  if (!aptGet) throw new NotInstallable(`${missing}, and there is no apt-get to install it: install it, ${otherwise}`);
  if (process.getuid?.() !== 0) {
    throw new NotInstallable(`${missing}; run as root: apt-get install ${packages.join(" ")} (${otherwise})`);
  }
  await withLock("apt", async () => {
    if (findBinary(program)) return;
    console.log(`jobmesh: installing Debian's ${packages.join(", ")}`);
    await runQuietly(aptGet, ["update", "-qq"]).catch(() => undefined); // a stale list may still do
    await runQuietly(aptGet, ["install", "-y", "-qq", "--no-install-recommends", ...packages]);
  }).catch((error: unknown) => {
    throw new NotInstallable(`${missing}, and apt-get could not install ${packages.join(", ")}: ${String(error)}`);
  });
  const installed = findBinary(program);
  if (!installed)
    throw new NotInstallable(`${missing}, not by ${packages.join(", ")} either: install it, ${otherwise}`);
  return installed;
}

/** How runQuietly runs a program. */
export interface QuietRun {
  /** Variables beside those of this process. */
  readonly env?: NodeJS.ProcessEnv;
  /** How many lines of what it printed a failure shows; its last 8 by default. */
  readonly maxLines?: number;
}

/** Runs a program to its end and gives what it printed. Throws with the end of what it printed when it fails. */
export async function runQuietly(program: string, args: readonly string[], options: QuietRun = {}): Promise<string> {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", ...options.env };
  try {
    return (await promisify(execFile)(program, args, { env, maxBuffer: 64 * 1024 * 1024 })).stdout;
  } catch (error) {
    const { stdout = "", stderr = "", code } = error as { stdout?: string; stderr?: string; code?: unknown };
    const lines = `${stdout}\n${stderr}`.trim().split("\n");
    const shown = lines.slice(-(options.maxLines ?? 8)).join("\n");
    throw new Error(`${program} ended with ${String(code)}:\n${shown}`, { cause: error });
  }
}

/** Runs `work` while holding the machine-wide lock of that name. The lock ends with this process, however it ends. */
export async function withLock<T>(name: string, work: () => Promise<T>): Promise<T> {
  await mkdir(cacheFolder, { recursive: true });
  const flock = findBinary("flock");
  if (!flock) return await work();
  const args = ["--exclusive", join(cacheFolder, `${name}.lock`), "sh", "-c", "echo held; exec cat"];
  const holder = spawn(flock, args, { stdio: ["pipe", "pipe", "ignore"] });
  const exited = once(holder, "exit");
  await Promise.race([once(holder.stdout, "data"), exited]);
  try {
    return await work();
  } finally {
    holder.stdin.end();
    await exited;
  }
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
