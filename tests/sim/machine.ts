/**
 * The simulated operating system of one executor's machine: its process table,
 * its disk as far as rule 22 writes there, and the two hosts on which the
 * production spawner runs, the executor's side and the spawner process's. What
 * it holds outlives the executor and the spawner: commands go on until somebody
 * kills them, the ledger of groups lies there until somebody removes it.
 */
import type { Random } from "../../services/common/port/random.ts";
import { GroupLedger } from "../../services/executor/spawner/group-ledger.ts";
import type { CommandHost } from "../../services/executor/spawner/port/command-host.ts";
import type { LedgerFile } from "../../services/executor/spawner/port/ledger-file.ts";
import type { SpawnerChild, SpawnerHost, SpawnerStart } from "../../services/executor/spawner/port/spawner-host.ts";
import { Supervisor } from "../../services/executor/spawner/supervisor.ts";
import { type CommandFacts, type CommandRecord, SimCommand } from "./command.ts";
import { SimChannel, SimPipeEnd, type Wires } from "./pipe.ts";
import { type MachineTime, SimProcess } from "./process.ts";
import { SimProcessTable } from "./process-table.ts";
import type { Timeline } from "./timeline.ts";

/** What a SimMachine needs. */
export interface SimMachineDeps {
  readonly timeline: Timeline;
  /** Its clock hardware. */
  readonly time: MachineTime;
  readonly random: Random;
  /** Milliseconds that a frame, an output or a death notice is on its way within the machine. */
  drawDelayMs(): number;
  /** Is told what commands do. */
  readonly record: CommandRecord;
}

/** Milliseconds that a spawner process takes to be ready, and to be gone after SIGKILL or its last word: at most. */
const LONGEST_START_MS = 80;
const LONGEST_EXIT_MS = 5;

/** SimMachine is the machine of one executor, with one data folder. */
export class SimMachine {
  readonly #deps: SimMachineDeps;
  readonly #wires: Wires;
  readonly #table: SimProcessTable;
  readonly #processes = new Set<SimProcess>();
  readonly #commands = new Map<number, SimCommand>();
  /** The ledger's file, by identity: a spawner that was replaced writes to one that has no name any more. */
  #ledger: { text: string } | undefined;
  readonly #folders = new Set<string>();
  #spawner: SimProcess | undefined;
  #killsInFork = false;

  constructor(name: string, deps: SimMachineDeps) {
    this.#deps = deps;
    this.#table = new SimProcessTable(deps.timeline, name);
    this.#wires = {
      timeline: deps.timeline,
      drawDelayMs: () => deps.drawDelayMs(),
      sharedMonotonicMs: () => deps.time.monotonicMs(),
    };
  }

  /** The last spawner process that was started, to be paused or killed; undefined when it is dead. */
  get spawner(): SimProcess | undefined {
    return this.#spawner?.isAlive ? this.#spawner : undefined;
  }

  /** Commands of whose groups a process exists now. */
  get running(): readonly CommandFacts[] {
    return [...this.#commands.values()].map(({ facts }) => facts);
  }

  /** Fresh working directories that exist now. */
  get folders(): readonly string[] {
    return [...this.#folders];
  }

  /** The machine as an executor's process sees it; for each new process its own. */
  host(executor: SimProcess): SpawnerHost {
    this.#add(executor);
    const table = this.#table;
    return {
      processes: {
        bootId: () => table.bootId(),
        stat: (pid) => table.stat(pid),
        all: () => table.all(),
        environmentValue: (pid, name) => table.environmentValue(pid, name),
        killGroup: (group, signal) => executor.isAlive && table.killGroup(group, signal),
        groupLives: (group) => table.groupLives(group),
      },
      folder: {
        readGroups: () => this.#ledger?.text,
        removeGroups: () => {
          if (executor.isAlive) this.#ledger = undefined;
        },
        removeWork: async () => {
          if (executor.isAlive) this.#folders.clear();
        },
      },
      sharedMonotonicMs: () => this.#deps.time.monotonicMs(),
      open: (start) => (executor.isAlive ? Promise.resolve(this.#open(executor, start)) : new Promise(() => {})),
    };
  }

  /** SIGKILL to the spawner process; its groups go on. */
  killSpawner(): void {
    this.#spawner?.kill();
  }

  /** The spawner process dies between its next fork and the note of it. */
  killSpawnerInFork(): void {
    this.#killsInFork = true;
  }

  /** A process that has nothing to do with the executor; whether it lives. */
  stranger(): { readonly isAlive: boolean } {
    const stranger = { isAlive: true };
    this.#table.add({}, () => {
      stranger.isAlive = false;
    });
    return stranger;
  }

  /** The machine goes down with everything on it, and is there again; its disk is as it was. */
  reboot(): void {
    for (const process of this.#processes) process.kill();
    for (const command of [...this.#commands.values()]) command.cut();
    this.#table.reboot();
  }

  #add(process: SimProcess): void {
    this.#processes.add(process);
    process.onDeath(() => this.#processes.delete(process));
  }

  #open(executor: SimProcess, start: SpawnerStart): SpawnerChild {
    const { timeline, time } = this.#deps;
    const spawner = new SimProcess(`${executor.name}/spawner`, timeline, time);
    this.#spawner = spawner;
    let how = "SIGKILL";
    const pid = this.#table.add({}, (signal) => {
      // It ignores those that reach a whole terminal, see spawner-process.ts.
      if (signal === "SIGKILL") timeline.after(this.#draw(LONGEST_EXIT_MS), () => spawner.kill());
    });
    const [pipe, end] = SimPipeEnd.pair(this.#wires, executor, spawner, () => {
      how = "code 0";
      spawner.deliver(this.#draw(LONGEST_EXIT_MS), () => spawner.kill());
    });
    const closed = new Promise<string>((resolve) => spawner.onDeath(() => end.put(() => resolve(how))));
    this.#add(spawner);
    spawner.onDeath(() => this.#table.remove(pid));
    spawner.deliver(this.#draw(LONGEST_START_MS), () => {
      const groups = new GroupLedger({ file: this.#ledgerFile(spawner), processes: this.#table, pid }, start.token);
      const { sharedMonotonicMs } = this.#wires;
      const deps = { clock: spawner, sharedMonotonicMs, executor: end, groups, host: this.#commandHost(spawner) };
      new Supervisor(deps, start).start();
    });
    const kill = (): void => void (executor.isAlive && this.#table.killGroup(pid, "SIGKILL"));
    return { pid, pipe, closed, kill };
  }

  #ledgerFile(spawner: SimProcess): LedgerFile {
    let own = { text: "" };
    return {
      replace: (text) => {
        own = { text };
        if (spawner.isAlive) this.#ledger = own;
        return text.length;
      },
      append: (text) => {
        if (spawner.isAlive) own.text += text;
        return text.length;
      },
      close: () => {},
    };
  }

  #commandHost(spawner: SimProcess): CommandHost {
    return {
      fork: (fork, ear) => {
        if (!spawner.isAlive) return { pid: undefined, closeOutputs: () => {} };
        const toSpawner = new SimChannel(this.#wires, spawner);
        const command = new SimCommand({ ...this.#deps, table: this.#table }, fork, {
          onData: (data) => toSpawner.put(() => ear.onData("stdout", data)),
          onExit: (code, signal) => {
            toSpawner.put(() => ear.onExit(code, signal));
            toSpawner.put(() => ear.onClose());
          },
          onGone: () => this.#commands.delete(command.facts.pid),
        });
        this.#commands.set(command.facts.pid, command);
        if (this.#killsInFork) spawner.kill();
        this.#killsInFork = false;
        return { pid: command.facts.pid, closeOutputs: () => {} };
      },
      killGroup: (group, signal) => spawner.isAlive && this.#table.killGroup(group, signal),
      groupLives: (group) => this.#table.groupLives(group),
      makeFolder: (name) => {
        if (spawner.isAlive) this.#folders.add(name);
        return name;
      },
      removeFolder: async (folder) => {
        if (spawner.isAlive) this.#folders.delete(folder);
      },
      isFolder: () => true,
    };
  }

  #draw(longestMs: number): number {
    return this.#deps.random.unit() * longestMs;
  }
}
