import { rmSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../../common/port/clock.ts";
import { type GroupRecord, type NotedGroup, readGroupFile, SPAWN_MARK } from "./group-file.ts";
import { allProcesses, bootId, environmentValue, groupLives, killGroup, processStat } from "./process-table.ts";

/**
 * Rule 22: what a spawner left behind is killed before anything else runs: by
 * the executor when its spawner dies, by the next start when both died. It is
 * done before Hello is said.
 */

/** Milliseconds between two looks at groups that take their time to die. */
const LOOK_MS = 5;

/** What killLeftovers needs. */
export interface LeftoverDeps {
  /** Clock. */
  readonly clock: Clock;
  /** Log. */
  readonly log: { warn(fields: Readonly<Record<string, unknown>>, message: string): void };
}

/** What killLeftovers did. */
export interface LeftoverReport {
  /** Groups that lived and were killed. */
  readonly killedGroups: number;
  /** Groups in the file whose pid belongs to somebody else by now; not touched. */
  readonly reusedPids: number;
}

/** Path of the file of groups in a data folder. */
export function groupsFilePath(dataDir: string): string {
  return join(dataDir, "spawner-groups");
}

/** Path of the fresh working directories in a data folder. */
export function workRootPath(dataDir: string): string {
  return join(dataDir, "commands");
}

/**
 * Kills the process groups that the last spawner of this data folder noted and
 * that live, waits until they are gone, and removes their working directories.
 * The caller holds the data folder's lock (rule 23). Ends early, with the file
 * kept, when the signal aborts.
 */
export async function killLeftovers(
  deps: LeftoverDeps,
  dataDir: string,
  signal?: AbortSignal,
): Promise<LeftoverReport> {
  const path = groupsFilePath(dataDir);
  const record = readGroupFile(path);
  const sameBoot = record !== undefined && (record.boot === "-" ? "" : record.boot) === bootId();
  const report = sameBoot ? await killRecorded(deps, record, signal) : { killedGroups: 0, reusedPids: 0 };
  if (signal?.aborted) return report;
  rmSync(path, { force: true });
  await removeWork(deps, workRootPath(dataDir));
  return report;
}

async function killRecorded(deps: LeftoverDeps, record: GroupRecord, signal?: AbortSignal): Promise<LeftoverReport> {
  // First the spawner: one that still works off its socket would start more.
  if (isStill(record.spawner)) killGroup(record.spawner.pid, "SIGKILL");
  await untilGone(deps, () => (isStill(record.spawner) ? [record.spawner.pid] : []), signal);
  const groups = new Set<number>();
  let reusedPids = 0;
  for (const group of record.groups) {
    const ours = whose(group, record.token);
    if (ours === "ours") groups.add(group.pid);
    if (ours === "another") reusedPids++;
  }
  for (const pid of unnoted(record)) groups.add(pid);
  for (const group of groups) killGroup(group, "SIGKILL");
  await untilGone(deps, () => [...groups].filter((group) => groupLives(group)), signal);
  if (groups.size > 0) deps.log.warn({ groups: groups.size }, "killed commands that an earlier process left");
  return { killedGroups: groups.size, reusedPids };
}

/**
 * Whose a noted group is now. With its leader alive the start time tells. With
 * the leader gone the group is only ours when a member carries our mark: the
 * number may have been given to another group whose leader is gone too.
 */
function whose(group: NotedGroup, token: string): "ours" | "another" | "gone" {
  const leader = processStat(group.pid);
  if (leader !== undefined && leader.startTicks !== group.startTicks) return "another";
  if (!groupLives(group.pid)) return "gone";
  if (leader !== undefined) return "ours";
  const members = allProcesses().filter((stat) => stat.group === group.pid);
  return members.some((stat) => environmentValue(stat.pid, SPAWN_MARK) === `${token}.${group.number}`)
    ? "ours"
    : "another";
}

/** Groups of commands that were forked and not noted any more, by their mark. */
function unnoted(record: GroupRecord): number[] {
  const found: number[] = [];
  for (const stat of allProcesses()) {
    const [token, number] = (environmentValue(stat.pid, SPAWN_MARK) ?? "").split(".");
    if (token === record.token && Number(number) > record.lastNumber) found.push(stat.group);
  }
  return found;
}

function isStill(group: NotedGroup): boolean {
  const stat = processStat(group.pid);
  return stat !== undefined && stat.startTicks === group.startTicks && stat.state !== "Z" && stat.state !== "X";
}

/** Waits as long as it takes: whoever says Hello before these are gone runs work twice. */
async function untilGone(deps: LeftoverDeps, left: () => number[], signal?: AbortSignal): Promise<void> {
  for (let looks = 1; ; looks++) {
    const groups = left();
    if (groups.length === 0 || signal?.aborted) return;
    // Each second: only a process stuck in the kernel takes that long.
    if (looks % (1000 / LOOK_MS) === 0) deps.log.warn({ groups: groups.join(" ") }, "killed processes do not end");
    await deps.clock.sleep(LOOK_MS, signal);
  }
}

async function removeWork(deps: LeftoverDeps, root: string): Promise<void> {
  const names = await readdir(root).catch(() => []);
  for (const name of names) {
    await rm(join(root, name), { recursive: true, force: true }).catch((err: unknown) => {
      deps.log.warn({ err, folder: name }, "a working directory could not be removed");
    });
  }
}
