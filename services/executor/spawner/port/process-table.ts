/** What is asked of the kernel about one process. */
export interface ProcessStat {
  /** Process id. */
  readonly pid: number;
  /** Letter of its state; Z and X are dead. */
  readonly state: string;
  /** Process group. */
  readonly group: number;
  /** Start in clock ticks since boot, field 22 of /proc/PID/stat: with the pid it names a process for good. */
  readonly startTicks: number;
}

/** ProcessTable is a machine's processes, and the signals that reach them. */
export interface ProcessTable {
  /** Identity of this boot of the machine: process ids and ticks of another one mean nothing. "" when unknown. */
  bootId(): string;
  /** A process, dead ones that nobody reaped included; undefined when there is none. */
  stat(pid: number): ProcessStat | undefined;
  /** All processes that live now. */
  all(): readonly ProcessStat[];
  /** Value of a variable in the environment that a process was started with; undefined when it is not ours to read. */
  environmentValue(pid: number, name: string): string | undefined;
  /** Sends a signal to a whole group, 0 to ask only. False when the group is gone. */
  killGroup(group: number, signal: NodeJS.Signals | 0): boolean;
  /** Whether a group has a member that lives. */
  groupLives(group: number): boolean;
}
