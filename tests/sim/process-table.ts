import type { ProcessStat, ProcessTable } from "../../services/executor/spawner/port/process-table.ts";
import type { Timeline } from "./timeline.ts";

/** The first process id of a boot: ids come again after a reboot, as on a real machine. */
const FIRST_PID = 100;

/** Milliseconds of a clock tick. */
const TICK_MS = 10;

/** What the table knows of a process. */
interface Entry extends ProcessStat {
  readonly environment: Readonly<Record<string, string>>;
  /** A signal reaches it. */
  onSignal(signal: NodeJS.Signals): void;
}

/** SimProcessTable is the kernel's table of a simulated machine. */
export class SimProcessTable implements ProcessTable {
  readonly #timeline: Timeline;
  readonly #machine: string;
  readonly #entries = new Map<number, Entry>();
  #boots = 0;
  #bootMs = 0;
  #nextPid = FIRST_PID;

  constructor(timeline: Timeline, machine: string) {
    this.#timeline = timeline;
    this.#machine = machine;
    this.reboot();
  }

  /** A process starts, in the group of another one or as the leader of its own; its id. */
  add(
    environment: Readonly<Record<string, string>>,
    onSignal: (signal: NodeJS.Signals) => void,
    group = this.#nextPid,
  ): number {
    const startTicks = Math.floor((this.#timeline.nowMs - this.#bootMs) / TICK_MS);
    const pid = this.#nextPid++;
    this.#entries.set(pid, { pid, state: "S", group, startTicks, environment, onSignal });
    return pid;
  }

  /** A process is gone. */
  remove(pid: number): void {
    this.#entries.delete(pid);
  }

  /** Nothing runs any more, and ids and ticks count from their beginning. */
  reboot(): void {
    this.#entries.clear();
    this.#boots++;
    this.#bootMs = this.#timeline.nowMs;
    this.#nextPid = FIRST_PID;
  }

  bootId(): string {
    return `${this.#machine}-boot-${this.#boots}`;
  }

  stat(pid: number): ProcessStat | undefined {
    return this.#entries.get(pid);
  }

  all(): readonly ProcessStat[] {
    return [...this.#entries.values()];
  }

  environmentValue(pid: number, name: string): string | undefined {
    return this.#entries.get(pid)?.environment[name];
  }

  killGroup(group: number, signal: NodeJS.Signals | 0): boolean {
    const members = [...this.#entries.values()].filter((entry) => entry.group === group);
    if (signal !== 0) for (const member of members) member.onSignal(signal);
    return members.length > 0;
  }

  groupLives(group: number): boolean {
    return this.killGroup(group, 0);
  }
}
