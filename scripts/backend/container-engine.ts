import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { findBinary } from "./installation.ts";

/** A container engine that answered: docker, or podman, which takes the same commands. */
export interface ContainerEngine {
  readonly name: "docker" | "podman";
  /** The full path of its program. */
  readonly file: string;
}

/** A daemon that is there answers at once; one that hangs must not hold up a test run. */
const infoTimeoutMs = 5_000;
const maxOutputBytes = 16 * 1024 * 1024;

/** The first of docker and podman whose `info` succeeds within the limit; undefined when none does. */
export async function findEngine(timeoutMs = infoTimeoutMs): Promise<ContainerEngine | undefined> {
  for (const name of ["docker", "podman"] as const) {
    const file = findBinary(name);
    if (!file) continue;
    const engine = { name, file };
    try {
      await askEngine(engine, ["info"], timeoutMs);
      return engine;
    } catch {
      // Installed without a daemon that answers, or not ours to use: the next one.
    }
  }
  return undefined;
}

/** Runs one command of the engine and gives what it printed. Throws, with that, when it fails or takes too long. */
export async function askEngine(
  engine: ContainerEngine,
  args: readonly string[],
  timeoutMs: number,
): Promise<{ stdout: string; stderr: string }> {
  const options = { timeout: timeoutMs, killSignal: "SIGKILL", maxBuffer: maxOutputBytes } as const;
  try {
    return await promisify(execFile)(engine.file, args, options);
  } catch (error) {
    const { stdout = "", stderr = "", code, killed } = error as Partial<Record<string, string>> & { killed?: boolean };
    const why = killed ? `did not end in ${timeoutMs / 1000} s` : `ended with ${code}`;
    throw new Error(`${engine.name} ${args[0]} ${why}: ${`${stdout}\n${stderr}`.trim()}`, { cause: error });
  }
}
