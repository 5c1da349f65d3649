/**
 * One server of the tests as a child process: started on ports and in a folder of its own, found ready by asking it,
 * stopped by its own pid. It dies with the process that started it, also by SIGKILL, where Linux lets us ask for that.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { startOnPorts } from "./free-ports.ts";
import { findBinary } from "./installation.ts";

/** How to run one kind of server. */
export interface ServerRecipe {
  /** The name in messages and in the folder's name, such as "etcd". */
  readonly name: string;
  /** The number of ports it listens on. */
  readonly portCount: number;
  /** Fills the new, empty folder before the first start. */
  prepare(folder: string): Promise<void>;
  /** The program and its arguments. */
  command(folder: string, ports: readonly number[]): Promise<{ program: string; args: string[] }>;
  /** Asks once whether it serves; throws or answers false when it does not. */
  isReady(ports: readonly number[]): Promise<boolean>;
}

const readyTimeoutMs = 90_000;
const askIntervalMs = 50;
const stopTimeoutMs = 30_000;

/** A server that can be started, stopped, killed, paused and resumed; its ports and data stay over restarts. */
export class ServerProcess {
  readonly #recipe: ServerRecipe;
  readonly #choosePorts: (count: number) => Promise<number[]>;
  #ports: number[] | undefined;
  #folder: string | undefined;
  #child: ChildProcess | undefined;

  constructor(recipe: ServerRecipe, choosePorts: (count: number) => Promise<number[]>) {
    this.#recipe = recipe;
    this.#choosePorts = choosePorts;
  }

  /** The ports it listens on, the same over restarts. Throws before the first start. */
  get ports(): readonly number[] {
    if (!this.#ports) throw new Error(`${this.#recipe.name} was never started`);
    return this.#ports;
  }

  /** The pid while it runs (or is paused); undefined otherwise. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Starts it and waits until it answers; does nothing when it runs. Ends by throwing, with what the server said. */
  async start(): Promise<void> {
    if (this.#child) return;
    if (!this.#folder) {
      this.#folder = await mkdtemp(join(tmpdir(), `jm-${this.#recipe.name}-`));
      await this.#recipe.prepare(this.#folder);
    }
    if (this.#ports) return await this.#startOn(this.#folder, this.#ports);
    const folder = this.#folder;
    this.#ports = await startOnPorts(this.#recipe.portCount, this.#choosePorts, (ports) =>
      this.#startOn(folder, ports),
    );
  }

  /** Ends it in its own orderly way and waits for its end. The data stays for the next start. */
  async stop(): Promise<void> {
    if (!this.#child) return;
    this.resume();
    const late = setTimeout(() => this.#child?.kill("SIGKILL"), stopTimeoutMs);
    await this.#end("SIGTERM");
    clearTimeout(late);
  }

  /** Ends it by SIGKILL and waits for its end. The data stays for the next start. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** Halts it by SIGSTOP: its connections stay open and nothing answers. */
  pause(): void {
    this.#child?.kill("SIGSTOP");
  }

  /** Lets it go on after pause. */
  resume(): void {
    this.#child?.kill("SIGCONT");
  }

  /** Ends it at once and removes its data. */
  async dispose(): Promise<void> {
    await this.kill();
    if (this.#folder) await rm(this.#folder, { recursive: true, force: true, maxRetries: 3 });
    this.#folder = undefined;
    this.#ports = undefined;
  }

  async #startOn(folder: string, ports: readonly number[]): Promise<void> {
    const { program, args } = await this.#recipe.command(folder, ports);
    const logFile = join(folder, "server.log");
    const log = openSync(logFile, "a");
    const child = spawn(...dyingWithUs(program, args), { cwd: folder, stdio: ["ignore", log, log] });
    closeSync(log);
    this.#child = child;
    child.once("exit", () => {
      if (this.#child === child) this.#child = undefined;
    });
    await this.#untilReady(child, ports, logFile);
  }

  async #untilReady(child: ChildProcess, ports: readonly number[], logFile: string): Promise<void> {
    const spawnError = once(child, "error").then(([error]) => Promise.reject(error as Error));
    spawnError.catch(() => undefined);
    const deadline = performance.now() + readyTimeoutMs;
    while (!(await Promise.race([spawnError, this.#recipe.isReady(ports).catch(() => false)]))) {
      if (this.#child !== child) throw new Error(`${this.#recipe.name} ended while starting:\n${tail(logFile)}`);
      if (performance.now() > deadline) {
        await this.kill();
        throw new Error(`${this.#recipe.name} did not answer in ${readyTimeoutMs / 1000} s:\n${tail(logFile)}`);
      }
      await delay(askIntervalMs);
    }
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (!child) return;
    const ended = once(child, "exit");
    child.kill(signal);
    await ended;
  }
}

/** The arguments of spawn that make Linux kill the child when this process ends in whatever way. */
function dyingWithUs(program: string, args: string[]): [string, string[]] {
  const setpriv = process.platform === "linux" ? findBinary("setpriv") : undefined;
  return setpriv ? [setpriv, ["--pdeathsig", "KILL", "--", program, ...args]] : [program, args];
}

function tail(file: string): string {
  return existsSync(file) ? readFileSync(file, "utf8").trimEnd().split("\n").slice(-15).join("\n") : "";
}
