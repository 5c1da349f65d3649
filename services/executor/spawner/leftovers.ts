import type { Clock } from "../../common/port/clock.ts";
import { type GroupRecord, type NotedGroup, parseGroups, SPAWN_MARK } from "./group-ledger.ts";
import type { ProcessTable } from "./port/process-table.ts";
import type { SpawnerHost } from "./port/spawner-host.ts";

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
  /** The machine, with the data folder whose last spawner is meant. */
  readonly host: Pick<SpawnerHost, "processes" | "folder">;
}

/** What killLeftovers did. */
export interface LeftoverReport {
  /** Groups that lived and were killed. */
  readonly killedGroups: number;
  /** Groups in the file whose pid belongs to somebody else by now; not touched. */
  readonly reusedPids: number;
}

/**
 * Kills the process groups that the last spawner of this data folder noted and
 * that live, waits until they are gone, and removes their working directories.
 * The caller holds the data folder's lock (rule 23). Ends early, with the file
 * kept, when the signal aborts.
 */
export async function killLeftovers(deps: LeftoverDeps, signal?: AbortSignal): Promise<LeftoverReport> {
  const { processes, folder } = deps.host;
  const record = parseGroups(folder.readGroups() ?? "");
  const sameBoot = record !== undefined && (record.boot === "-" ? "" : record.boot) === processes.bootId();
  const report = sameBoot ? await killRecorded(deps, record, signal) : { killedGroups: 0, reusedPids: 0 };
  if (signal?.aborted) return report;
  folder.removeGroups();
  await folder.removeWork((name, err) => {
    deps.log.warn({ err, folder: name }, "a working directory could not be removed");
  });
  return report;
}

async function killRecorded(deps: LeftoverDeps, record: GroupRecord, signal?: AbortSignal): Promise<LeftoverReport> {
  const { processes } = deps.host;
  // First the spawner: one that still works off its socket would start more.
  if (isStill(processes, record.spawner)) processes.killGroup(record.spawner.pid, "SIGKILL");
  await untilGone(deps, () => (isStill(processes, record.spawner) ? [record.spawner.pid] : []), signal);
  const groups = new Set<number>();
  let reusedPids = 0;
  for (const group of record.groups) {
    const ours = whose(processes, group, record.token);
    if (ours === "ours") groups.add(group.pid);
    if (ours === "another") reusedPids++;
  }
  for (const pid of unnoted(processes, record)) groups.add(pid);
  for (const group of groups) processes.killGroup(group, "SIGKILL");
  await untilGone(deps, () => [...groups].filter((group) => processes.groupLives(group)), signal);
  if (groups.size > 0) deps.log.warn({ groups: groups.size }, "killed commands that an earlier process left");
  return { killedGroups: groups.size, reusedPids };
}

/**
 * Whose a noted group is now. With its leader alive the start time tells. With
 * the leader gone the group is only ours when a member carries our mark: the
 * number may have been given to another group whose leader is gone too.
 */
function whose(processes: ProcessTable, group: NotedGroup, token: string): "ours" | "another" | "gone" {
  const leader = processes.stat(group.pid);
  if (leader !== undefined && leader.startTicks !== group.startTicks) return "another";
  if (!processes.groupLives(group.pid)) return "gone";
  if (leader !== undefined) return "ours";
  const mark = `${token}.${group.number}`;
  const members = processes.all().filter((stat) => stat.group === group.pid);
  return members.some((stat) => processes.environmentValue(stat.pid, SPAWN_MARK) === mark) ? "ours" : "another";
}

/** Groups of commands that were forked and not noted any more, by their mark. */
function unnoted(processes: ProcessTable, record: GroupRecord): number[] {
  const found: number[] = [];
  for (const stat of processes.all()) {
    const [token, number] = (processes.environmentValue(stat.pid, SPAWN_MARK) ?? "").split(".");
    if (token === record.token && Number(number) > record.lastNumber) found.push(stat.group);
  }
  return found;
}

function isStill(processes: ProcessTable, group: NotedGroup): boolean {
  const stat = processes.stat(group.pid);
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
