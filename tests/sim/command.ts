import type { Random } from "../../services/common/port/random.ts";
import type { CommandFork } from "../../services/executor/spawner/port/command-host.ts";
import type { SimProcessTable } from "./process-table.ts";
import type { Pending, Timeline } from "./timeline.ts";

/** CommandPlan is what a simulated command does, written in JSON as its command line. */
export interface CommandPlan {
  /** Milliseconds from its start to its end. */
  readonly durationMs: number;
  readonly exitCode: number;
  /** Lines of standard output, spread over its duration. */
  readonly lines: readonly string[];
  /** Whether SIGTERM does not end it. */
  readonly ignoresTerm: boolean;
  /** Milliseconds that a process which it leaves in its group goes on behind its end, its outputs closed; 0 for none. */
  readonly lingersMs: number;
}

/** A command line for a simulated machine: succeeds at once where the plan says nothing else. */
export function commandLine(plan: Partial<CommandPlan>): string {
  return JSON.stringify(plan);
}

/** Which run of an execution a command is, by the environment that its executor gave it. */
export interface CommandFacts {
  readonly executionId: string;
  readonly attempt: number;
  readonly environment: Readonly<Record<string, string>>;
  readonly pid: number;
}

/** CommandRecord is told what commands do, by the machine itself, whatever their executor knows. */
export interface CommandRecord {
  /** Its program begins to work. */
  started(command: CommandFacts): void;
  /** It writes a line. */
  wrote(command: CommandFacts, line: string): void;
  /** Its whole group is gone, and how its leader ended; only of those that began. */
  ended(command: CommandFacts & { readonly how: "exited" | "signaled"; readonly exitCode: number | null }): void;
}

/** What a simulated command is on. */
export interface CommandGround {
  readonly timeline: Timeline;
  readonly random: Random;
  readonly table: SimProcessTable;
  readonly record: CommandRecord;
}

/** Who reads a command's output and waits for its end. */
export interface CommandReader {
  onData(data: Buffer): void;
  onExit(code: number | null, signal: NodeJS.Signals | null): void;
  /** Its group is gone. */
  onGone(): void;
}

/** Milliseconds from a fork to the program's first instruction, from a signal to the end that it brings: at most. */
const LONGEST_FORK_MS = 5;
const LONGEST_DYING_MS = 8;

/** SimCommand is a command's process group. It depends on nobody: it lives on the machine until it ends or is killed. */
export class SimCommand {
  readonly facts: CommandFacts;
  readonly #ground: CommandGround;
  readonly #plan: CommandPlan;
  readonly #reader: CommandReader;
  readonly #leader: Member;
  #lingerer: Member | undefined;
  #hasBegun = false;
  #exit: { readonly how: "exited" | "signaled"; readonly exitCode: number | null } = { how: "exited", exitCode: null };

  constructor(ground: CommandGround, fork: CommandFork, reader: CommandReader) {
    this.#ground = ground;
    this.#plan = planOf(fork);
    this.#reader = reader;
    this.#leader = new Member(ground, fork.env, this.#plan.ignoresTerm, (code, signal) => this.#onExit(code, signal));
    this.facts = {
      executionId: fork.env.JOBMESH_EXECUTION_ID ?? "",
      attempt: Number(fork.env.JOBMESH_ATTEMPT ?? 0),
      environment: fork.env,
      pid: this.#leader.pid,
    };
    this.#leader.after(ground.random.unit() * LONGEST_FORK_MS, () => this.#begin());
  }

  /** The machine goes down. */
  cut(): void {
    this.#leader.end(null, "SIGKILL");
    this.#lingerer?.end(null, "SIGKILL");
  }

  #begin(): void {
    this.#hasBegun = true;
    this.#ground.record.started(this.facts);
    const { durationMs, exitCode, lines, ignoresTerm, lingersMs } = this.#plan;
    for (const [index, line] of lines.entries()) {
      const atMs = (durationMs * (index + 1)) / (lines.length + 1);
      this.#leader.after(atMs, () => {
        this.#ground.record.wrote(this.facts, line);
        this.#reader.onData(Buffer.from(`${line}\n`));
      });
    }
    this.#leader.after(durationMs, () => this.#leader.end(exitCode, null));
    if (lingersMs === 0) return;
    const { environment, pid } = this.facts;
    const lingerer = new Member(this.#ground, environment, ignoresTerm, () => this.#onGone(), pid);
    lingerer.after(durationMs + lingersMs, () => lingerer.end(0, null));
    this.#lingerer = lingerer;
  }

  #onExit(code: number | null, signal: NodeJS.Signals | null): void {
    this.#exit = { how: signal === null ? "exited" : "signaled", exitCode: code };
    this.#reader.onExit(code, signal);
    this.#onGone();
  }

  #onGone(): void {
    if (this.#leader.isAlive || this.#lingerer?.isAlive) return;
    if (this.#hasBegun) this.#ground.record.ended({ ...this.facts, ...this.#exit });
    this.#reader.onGone();
  }
}

/** One process of a command's group. */
class Member {
  readonly pid: number;
  isAlive = true;
  readonly #ground: CommandGround;
  readonly #ignoresTerm: boolean;
  readonly #onExit: (code: number | null, signal: NodeJS.Signals | null) => void;
  readonly #pending = new Set<Pending>();
  #dyingOf: NodeJS.Signals | null = null;

  constructor(
    ground: CommandGround,
    environment: Readonly<Record<string, string>>,
    ignoresTerm: boolean,
    onExit: (code: number | null, signal: NodeJS.Signals | null) => void,
    group?: number,
  ) {
    this.#ground = ground;
    this.#ignoresTerm = ignoresTerm;
    this.#onExit = onExit;
    this.pid = ground.table.add(environment, (signal) => this.#onSignal(signal), group);
  }

  /** Does something after a while, if it lives then and no signal has reached it. */
  after(delayMs: number, run: () => void): void {
    const pending = this.#ground.timeline.after(delayMs, () => {
      this.#pending.delete(pending);
      run();
    });
    this.#pending.add(pending);
  }

  end(code: number | null, signal: NodeJS.Signals | null): void {
    if (!this.isAlive) return;
    this.isAlive = false;
    this.#forget();
    this.#ground.table.remove(this.pid);
    this.#onExit(code, signal);
  }

  #onSignal(signal: NodeJS.Signals): void {
    // SIGKILL comes many times, from whoever waits for the end: only the first one counts.
    if (this.#dyingOf === "SIGKILL" || this.#dyingOf === signal) return;
    if (signal !== "SIGKILL" && (signal !== "SIGTERM" || this.#ignoresTerm)) return;
    this.#forget();
    this.#dyingOf = signal;
    this.after(this.#ground.random.unit() * LONGEST_DYING_MS, () => this.end(null, signal));
  }

  #forget(): void {
    for (const pending of this.#pending) pending.isOff = true;
    this.#pending.clear();
  }
}

function planOf(fork: CommandFork): CommandPlan {
  const [flag, line = ""] = fork.args;
  if (flag !== "-c") throw new Error("a simulated machine has no programs: the plan is the shell's command line");
  return {
    durationMs: 0,
    exitCode: 0,
    lines: [],
    ignoresTerm: false,
    lingersMs: 0,
    ...(JSON.parse(line) as Partial<CommandPlan>),
  };
}
