import { linkSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { join } from "node:path";
import type { ExecutorId, Incarnation } from "../common/domain/identifier.ts";
import { JobmeshError } from "../common/error/jobmesh-error.ts";
import type { Random } from "../common/port/random.ts";
import { bootId } from "./spawner/process-table.ts";

/**
 * Rule 23: one process an executor_id. The lock is a Unix socket in the data
 * folder, which the kernel closes with its process, beside a file that says
 * which incarnation held it last, on which boot. A socket that refuses
 * connections proves that the process is dead only under the same boot id: a
 * folder may be shared by machines. Where it proves that, the new process names
 * the old incarnation in its Hello and need not wait for its lease.
 *
 * A dead socket is never replaced under its name, for between looking and
 * replacing somebody else may have done so. Sockets are numbered: whoever finds
 * all of them dead links its own under the next number, which only one can do,
 * and holds the lock unless a higher number is there by then. The highest
 * number stays, also when it is let go of, so that numbers only rise.
 */

/** What the file beside the socket says. */
type Holder = { readonly executorId: string; readonly incarnation: string; readonly bootId: string };

/** Longest path that the kernel takes for a Unix socket. */
const MAX_SOCKET_PATH = 107;
/** Names of sockets that were linked; their number is the group. */
const LINKED = /^executor\.sock\.(\d{1,12})$/;
/** Tries before somebody else is believed to have it. */
const MAX_TRIES = 16;

/** FolderLock is this process's hold on a data folder. */
export interface FolderLock {
  /** The incarnation that held it before, when it is known to have ended. */
  readonly previous: Incarnation | null;
  /** Notes the incarnation that holds it now. */
  note(incarnation: Incarnation): void;
  /** Lets go. The note stays, for the next process. */
  release(): Promise<void>;
}

/**
 * Takes the lock of a data folder, which is made where it is missing. Throws
 * EXECUTOR_ID_TAKEN while another process holds it, DATA_DIR_UNUSABLE when the
 * folder cannot be used.
 */
export async function lockFolder(dataDir: string, executorId: ExecutorId, random: Random): Promise<FolderLock> {
  const holderPath = join(dataDir, "executor.json");
  const own = join(dataDir, `executor.sock.new-${Buffer.from(random.bytes(4)).toString("hex")}`);
  if (own.length > MAX_SOCKET_PATH) throw unusable(dataDir, "its path is too long for a Unix socket", undefined);
  const server = await listen(dataDir, own);
  try {
    await claim(dataDir, own);
  } catch (thrown) {
    await release(server);
    throw thrown;
  } finally {
    rmSync(own, { force: true });
  }
  return {
    previous: previousOf(readHolder(holderPath), executorId),
    note: (incarnation) => writeHolder(holderPath, { executorId, incarnation, bootId: bootId() }),
    release: () => release(server),
  };
}

async function claim(dataDir: string, own: string): Promise<void> {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const numbers = linkedNumbers(dataDir);
    for (const number of numbers) if (await answers(linkedPath(dataDir, number))) throw taken(dataDir);
    const next = (numbers.at(-1) ?? 0) + 1;
    if (!tryLink(own, linkedPath(dataDir, next))) continue;
    const after = linkedNumbers(dataDir);
    if (after.at(-1) === next) {
      for (const number of after) if (number < next) rmSync(linkedPath(dataDir, number), { force: true });
      return;
    }
    rmSync(linkedPath(dataDir, next), { force: true });
  }
  throw taken(dataDir);
}

function linkedPath(dataDir: string, number: number): string {
  return join(dataDir, `executor.sock.${number}`);
}

/** Ascending. */
function linkedNumbers(dataDir: string): number[] {
  const found = readdirSync(dataDir).flatMap((name) => LINKED.exec(name)?.[1] ?? []);
  return found.map(Number).sort((a, b) => a - b);
}

function listen(dataDir: string, path: string): Promise<Server> {
  const server = createServer((socket) => socket.destroy());
  server.unref();
  return new Promise((resolve, reject) => {
    try {
      mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    } catch (cause) {
      return reject(unusable(dataDir, "it cannot be made", cause));
    }
    server.once("error", (cause) => reject(unusable(dataDir, "no socket can be made in it", cause)));
    server.listen(path, () => resolve(server));
  });
}

/** True when somebody accepts connections there. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    // Anything but a refusal proves nothing, and then nobody is taken for dead.
    socket.once("error", (error: NodeJS.ErrnoException) => {
      resolve(error.code !== "ECONNREFUSED" && error.code !== "ENOENT");
    });
  });
}

function release(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return false;
    throw unusable(to, "its lock cannot be made", error);
  }
}

function previousOf(holder: Holder | null, executorId: ExecutorId): Incarnation | null {
  if (holder === null || holder.executorId !== executorId || holder.bootId === "" || holder.bootId !== bootId())
    return null;
  return holder.incarnation as Incarnation;
}

function readHolder(path: string): Holder | null {
  try {
    const value: unknown = JSON.parse(readFileSync(path, "utf8"));
    if (typeof value !== "object" || value === null) return null;
    const { executorId, incarnation, bootId: boot } = value as Partial<Record<keyof Holder, unknown>>;
    if (typeof executorId !== "string" || typeof incarnation !== "string" || typeof boot !== "string") return null;
    return { executorId, incarnation, bootId: boot };
  } catch {
    return null;
  }
}

/** Whole or not at all: a torn file would cost the next start a lease. */
function writeHolder(path: string, holder: Holder): void {
  try {
    writeFileSync(`${path}.new`, JSON.stringify(holder), { mode: 0o600 });
    renameSync(`${path}.new`, path);
  } catch (error) {
    throw unusable(path, "it cannot be written", error);
  }
}

function taken(dataDir: string): JobmeshError {
  return new JobmeshError("EXECUTOR_ID_TAKEN", { message: `another process uses the data folder ${dataDir}` });
}

function unusable(dataDir: string, why: string, cause: unknown): JobmeshError {
  const detail = cause instanceof Error ? `: ${cause.message}` : "";
  return new JobmeshError("DATA_DIR_UNUSABLE", { message: `${dataDir} cannot be used, ${why}${detail}`, cause });
}
