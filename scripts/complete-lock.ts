/**
 * Completes package-lock.json (`node scripts/complete-lock.ts`, after an `npm install` that changed it).
 *
 * npm leaves an optional dependency out of the lock when the registry of that moment could not serve it, and from
 * then on `npm ci` refuses the lock for everybody, on platforms that never needed the package too. Such packages
 * are the prebuilt binaries of other platforms, whose version, os and cpu are known from the package that names
 * them. With their entries in place `npm ci` passes them over here and installs them where they fit.
 */
import { readFileSync, writeFileSync } from "node:fs";

interface LockEntry {
  version?: string;
  dev?: boolean;
  optional?: boolean;
  os?: string[];
  cpu?: string[];
  libc?: string[];
  optionalDependencies?: Record<string, string>;
  [field: string]: unknown;
}

/** The part of package-lock.json (lockfileVersion 3) that is read and written here. */
export interface Lock {
  packages: Record<string, LockEntry>;
  [field: string]: unknown;
}

const cpus: Record<string, string> = { aarch64: "arm64", armv7: "arm" };

/** The optional dependencies that some package of the lock names and the lock has no entry for. */
export function missingFromLock(lock: Lock): { name: string; version: string; dev: boolean }[] {
  const missing = [];
  for (const entry of Object.values(lock.packages)) {
    for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
      if (!(`node_modules/${name}` in lock.packages)) missing.push({ name, version, dev: entry.dev === true });
    }
  }
  return missing;
}

/** The platform that a binary package's name states, such as cli-linux-x64-musl; undefined when it states none. */
function platformOf(name: string): Pick<LockEntry, "os" | "cpu" | "libc"> | undefined {
  const match = /(android|darwin|linux|win32|freebsd)-([a-z0-9]+)(-musl)?$/.exec(name);
  if (!match?.[1] || !match[2]) return undefined;
  return { cpu: [cpus[match[2]] ?? match[2]], os: [match[1]], ...(match[3] ? { libc: ["musl"] } : {}) };
}

function main(): void {
  const lock = JSON.parse(readFileSync("package-lock.json", "utf8")) as Lock;
  const missing = missingFromLock(lock);
  for (const { name, version, dev } of missing) {
    const platform = platformOf(name);
    if (!platform) throw new Error(`${name} is missing from package-lock.json and its name states no platform`);
    lock.packages[`node_modules/${name}`] = { version, ...(dev ? { dev } : {}), optional: true, ...platform };
  }
  const root = lock.packages[""];
  const sorted = Object.entries(lock.packages).filter(([path]) => path !== "");
  sorted.sort(([a], [b]) => a.localeCompare(b, "en"));
  lock.packages = { ...(root ? { "": root } : {}), ...Object.fromEntries(sorted) };
  writeFileSync("package-lock.json", `${JSON.stringify(lock, null, 2)}\n`);
  console.log(`package-lock.json: ${missing.length} packages of other platforms added`);
}

if (import.meta.main) main();
