import { readdirSync, readFileSync } from "node:fs";
import type { ProcessStat, ProcessTable } from "./port/process-table.ts";

/** A process's line in the kernel's table; undefined when there is none, or no /proc. */
export function processStat(pid: number): ProcessStat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The second field is the program's name in parentheses, which may hold anything, also ")".
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return { pid, state: fields[0] ?? "?", group: Number(fields[2]), startTicks: Number(fields[19]) };
  } catch {
    return undefined;
  }
}

/** All processes that live now. Empty without /proc. */
export function allProcesses(): ProcessStat[] {
  const found: ProcessStat[] = [];
  for (const name of listProc()) {
    const pid = Number(name);
    const stat = Number.isInteger(pid) ? processStat(pid) : undefined;
    if (stat !== undefined && isAlive(stat)) found.push(stat);
  }
  return found;
}

/** Value of a variable in the environment that a process was started with; undefined when it is not ours to read. */
export function environmentValue(pid: number, name: string): string | undefined {
  try {
    const entries = readFileSync(`/proc/${pid}/environ`, "latin1").split("\0");
    return entries.find((entry) => entry.startsWith(`${name}=`))?.slice(name.length + 1);
  } catch {
    return undefined;
  }
}

/** Identity of this boot of the machine: process ids and ticks of another one mean nothing. "" without /proc. */
export function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
  } catch {
    return "";
  }
}

/** Whether a process still does anything; a zombie does not. */
export function isAlive(stat: ProcessStat): boolean {
  return stat.state !== "Z" && stat.state !== "X";
}

/** Sends a signal to a whole group. False when the group is gone. */
export function killGroup(group: number, signal: NodeJS.Signals | 0): boolean {
  // "No such group" is the usual answer at the end of a command; its stack would be most of the cost of asking.
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  try {
    process.kill(-group, signal);
    return true;
  } catch (error) {
    // EPERM: it is there and not ours, for example after a setuid program.
    return error instanceof Error && "code" in error && error.code === "EPERM";
  } finally {
    Error.stackTraceLimit = limit;
  }
}

/**
 * Whether a group has a member that lives. Asks the kernel first; only when the
 * group answers is the table read, because zombies that nobody reaps (pid 1 of
 * many containers does not) answer too.
 */
export function groupLives(group: number): boolean {
  if (!killGroup(group, 0)) return false;
  const all = allProcesses();
  return all.length === 0 || all.some((stat) => stat.group === group);
}

/** This machine's processes, by /proc and signals. */
export const systemProcesses: ProcessTable = {
  bootId,
  stat: processStat,
  all: allProcesses,
  environmentValue,
  killGroup,
  groupLives,
};

function listProc(): string[] {
  try {
    return readdirSync("/proc");
  } catch {
    return [];
  }
}
