import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { silentLogger } from "../../../services/common/runtime/log.ts";
import { SystemClock } from "../../../services/common/runtime/system-clock.ts";
import { SystemRandom } from "../../../services/common/runtime/system-random.ts";
import type {
  CommandIo,
  CommandResult,
  CommandSpec,
  OutputStream,
  RunningCommand,
} from "../../../services/executor/spawner/command-spec.ts";
import { killLeftovers } from "../../../services/executor/spawner/leftovers.ts";
import { Spawner, type SpawnerConfig } from "../../../services/executor/spawner/spawner.ts";
import { SystemSpawnerHost } from "../../../services/executor/spawner/system-spawner-host.ts";

export const clock = new SystemClock();

/** A folder of the test's own, removed at its end with whatever was left running from it. */
export function dataFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "jobmesh-command-"));
  finallyDo(t, async () => {
    await killLeftovers({ clock, log: silentLogger, host: new SystemSpawnerHost(folder) });
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

const endings = new WeakMap<TestContext, (() => unknown)[]>();

/** Does something when the test has ended, the last that was asked for first; `t.after` does the first one first. */
export function finallyDo(t: TestContext, ending: () => unknown): void {
  const known = endings.get(t);
  if (known !== undefined) {
    known.push(ending);
    return;
  }
  const all = [ending];
  endings.set(t, all);
  t.after(async () => {
    for (const next of all.reverse()) await next();
  });
}

/** A command with defaults that a test replaces. */
export function commandSpec(command: string, over: Partial<CommandSpec> = {}): CommandSpec {
  return { command, args: [], env: { PATH: process.env.PATH ?? "/bin" }, workingDirectory: "", ...over };
}

/** A command that holds a lifeline and runs for long. */
export function longCommand(lifeline: string): string {
  return `exec 9>"${lifeline}"; sleep 1000 & echo $$ >&9; wait`;
}

/** A spawner that runs, with what its tests ask of it. */
export interface CommandSetup {
  readonly spawner: Spawner;
  readonly folder: string;
  /** Runs a command to its end. */
  run(
    command: string,
    over?: Partial<CommandSpec>,
  ): Promise<CommandResult & { readonly stdout: Buffer; readonly stderr: Buffer }>;
  /** Starts one; resolves when its process runs. */
  begin(command: string, over?: Partial<CommandSpec>, io?: Partial<CommandIo>): Promise<RunningCommand>;
}

export async function setup(t: TestContext, config: Partial<SpawnerConfig> = {}): Promise<CommandSetup> {
  const folder = dataFolder(t);
  const deps = { clock, random: new SystemRandom(), log: silentLogger };
  const spawner = new Spawner({ ...deps, host: new SystemSpawnerHost(folder) }, config);
  await spawner.start();
  finallyDo(t, () => spawner.stop());
  return {
    spawner,
    folder,
    async run(command, over) {
      const chunks: Record<OutputStream, Buffer[]> = { stdout: [], stderr: [] };
      const io: CommandIo = { onOutput: (stream, data) => void chunks[stream].push(data) };
      const result = await spawner.run(commandSpec(command, over), io).result;
      return { ...result, stdout: Buffer.concat(chunks.stdout), stderr: Buffer.concat(chunks.stderr) };
    },
    begin(command, over, io) {
      return new Promise((resolve) => {
        const running = spawner.run(commandSpec(command, over), {
          onOutput: () => {},
          onStart: () => resolve(running),
          ...io,
        });
      });
    },
  };
}

/** What executor-process.ts says. */
export type ExecutorLine =
  | { readonly event: "ready"; readonly spawner: number }
  | { readonly event: "started"; readonly index: number; readonly pid: number }
  | { readonly event: "ended"; readonly index: number; readonly result: CommandResult };

/** A real process on the executor's side, to be killed and stopped. */
export class ExecutorProcess {
  readonly child: ChildProcess;
  /** Resolves when it and its spawner process, which has its standard error, are dead. */
  readonly gone: Promise<void>;
  readonly #lines: ExecutorLine[] = [];
  readonly #waiting = new Set<() => void>();

  constructor(t: TestContext, folder: string, silenceMs: number | null, commands: readonly string[]) {
    const program = fileURLToPath(new URL("./executor-process.ts", import.meta.url));
    this.child = spawn(process.execPath, ["--no-warnings", program, folder, String(silenceMs), ...commands], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.child.stderr?.pipe(process.stderr);
    this.gone = new Promise((resolve) => {
      this.child.once("close", () => resolve());
    });
    createInterface({ input: this.child.stdout as NodeJS.ReadableStream }).on("line", (line) => {
      this.#lines.push(JSON.parse(line) as ExecutorLine);
      for (const wake of this.#waiting) wake();
    });
    finallyDo(t, () => this.kill());
  }

  /** The first line that the test wants; waits for it. */
  line<Event extends ExecutorLine["event"]>(event: Event, index = 0): Promise<Extract<ExecutorLine, { event: Event }>> {
    return new Promise((resolve) => {
      const look = (): void => {
        const found = this.#lines.find((line) => line.event === event && (!("index" in line) || line.index === index));
        if (found === undefined) return;
        this.#waiting.delete(look);
        resolve(found as Extract<ExecutorLine, { event: Event }>);
      };
      this.#waiting.add(look);
      look();
    });
  }

  /** Resolves when the process is dead. */
  kill(): Promise<void> {
    return new Promise((resolve) => {
      if (this.child.exitCode !== null || this.child.signalCode !== null) return resolve();
      this.child.once("exit", () => resolve());
      this.child.kill("SIGKILL");
    });
  }
}
