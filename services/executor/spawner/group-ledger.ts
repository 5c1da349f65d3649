import type { LedgerFile } from "./port/ledger-file.ts";
import type { ProcessTable } from "./port/process-table.ts";

/**
 * The ledger that notes the process groups of a spawner in a file, so that
 * whoever comes after it can kill what it left (rule 22). Lines:
 *
 *   spawner 1 BOOT TOKEN PID TICKS LAST   its head: identity, last number noted before this line
 *   + NUMBER PID TICKS                    a group, noted in the turn of its fork
 *   - NUMBER                              that group is gone
 *
 * A group is named by its leader's pid and start time together, so that a pid
 * that the kernel gave to somebody else is never killed. Between a fork and its
 * note lies a moment in which the spawner may die; then the file's last number
 * is one too low and the command is found by TOKEN.NUMBER in its environment.
 * Nothing is synced to disk: the file answers for processes, and those do not
 * survive a machine that went down.
 */

/** The environment variable that marks a command with its spawner's token and its number. */
export const SPAWN_MARK = "JOBMESH_SPAWN";

/** Size at which the file is written anew with what is live. */
const COMPACT_BYTES = 256 * 1024;

/** A group that was noted. */
export interface NotedGroup {
  /** Number of the command, counted from 1 by its spawner. */
  readonly number: number;
  /** Process id of the leader, which names the group. */
  readonly pid: number;
  /** Start of the leader; see ProcessStat. */
  readonly startTicks: number;
}

/** What a file of groups says. */
export interface GroupRecord {
  /** Boot that it was written in. */
  readonly boot: string;
  /** Mark of its spawner. */
  readonly token: string;
  /** The spawner itself. */
  readonly spawner: NotedGroup;
  /** Last number that was noted. */
  readonly lastNumber: number;
  /** Groups noted and not yet gone. */
  readonly groups: readonly NotedGroup[];
}

/** What a GroupLedger needs. */
export interface GroupLedgerDeps {
  /** Where it is written. */
  readonly file: LedgerFile;
  /** Who is who on this machine. */
  readonly processes: Pick<ProcessTable, "bootId" | "stat">;
  /** Process id of the spawner itself. */
  readonly pid: number;
}

/** GroupLedger is the spawner's side of the file. */
export class GroupLedger {
  readonly #deps: GroupLedgerDeps;
  readonly #token: string;
  readonly #live = new Map<number, NotedGroup>();
  #bytes = 0;
  #lastNumber = 0;

  /** Starts the file anew: what it said before has been dealt with. */
  constructor(deps: GroupLedgerDeps, token: string) {
    this.#deps = deps;
    this.#token = token;
    this.#rewrite();
  }

  /** Notes a group, to be called in the turn of its fork. */
  add(number: number, pid: number): void {
    const group = { number, pid, startTicks: this.#startTicks(pid) };
    this.#live.set(number, group);
    this.#lastNumber = number;
    this.#append(`+ ${number} ${pid} ${group.startTicks}\n`);
  }

  /** Notes that a group is gone. */
  remove(number: number): void {
    if (!this.#live.delete(number)) return;
    this.#append(`- ${number}\n`);
    if (this.#bytes >= COMPACT_BYTES) this.#rewrite();
  }

  /** Closes the file and leaves it. */
  close(): void {
    this.#deps.file.close();
  }

  #append(line: string): void {
    this.#bytes += this.#deps.file.append(line);
  }

  #rewrite(): void {
    const { file, processes, pid } = this.#deps;
    const boot = processes.bootId() || "-";
    const lines = [`spawner 1 ${boot} ${this.#token} ${pid} ${this.#startTicks(pid)} ${this.#lastNumber}\n`];
    for (const group of this.#live.values()) lines.push(`+ ${group.number} ${group.pid} ${group.startTicks}\n`);
    this.#bytes = file.replace(lines.join(""));
  }

  #startTicks(pid: number): number {
    return this.#deps.processes.stat(pid)?.startTicks ?? 0;
  }
}

/** Reads what a ledger wrote. Undefined when its head is not ours; a torn last line is left out. */
export function parseGroups(text: string): GroupRecord | undefined {
  const [head = "", ...lines] = text.slice(0, text.lastIndexOf("\n") + 1).split("\n");
  const [word, version, boot = "", token = "", pid, ticks, last] = head.split(" ");
  if (word !== "spawner" || version !== "1") return undefined;
  const live = new Map<number, NotedGroup>();
  let lastNumber = Number(last);
  for (const line of lines) {
    const [sign, number, groupPid, groupTicks] = line.split(" ");
    if (sign === "-") live.delete(Number(number));
    if (sign !== "+") continue;
    live.set(Number(number), { number: Number(number), pid: Number(groupPid), startTicks: Number(groupTicks) });
    lastNumber = Math.max(lastNumber, Number(number));
  }
  const spawner = { number: 0, pid: Number(pid), startTicks: Number(ticks) };
  return { boot, token, spawner, lastNumber, groups: [...live.values()] };
}
