/**
 * One server of the tests in a container: published on 127.0.0.1 at the same port over restarts, found ready by asking
 * it, its data kept in the container until dispose. Its removal is the work of a small shell that waits for the end of
 * its standard input: dispose closes that, and so does the end of this process in whatever way, also by SIGKILL.
 *
 * Not run against a real engine: none was there where this was written. What is tested is which way is taken and the
 * exact command lines, on an executable that stands in for the engine (tests/unit/scripts/container.test.ts).
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { markVariable } from "../test/leftovers.ts";
import { askEngine, type ContainerEngine } from "./container-engine.ts";
import { startOnPorts } from "./free-ports.ts";
import { NotInstallable } from "./installation.ts";

/** What a container runs. */
export interface ContainerRun {
  readonly image: string;
  /** The program to run in place of the image's own; that one when it is not given. */
  readonly program?: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly args: readonly string[];
}

/** How to run one kind of server in a container. */
export interface ContainerRecipe {
  /** The name in messages, such as "etcd". */
  readonly name: string;
  /** The number of ports it listens on; the first is its clients' and published, the others stay in the container. */
  readonly portCount: number;
  /** What to run, listening on these ports. */
  container(ports: readonly number[]): ContainerRun;
  /** Asks once whether it serves; throws or answers false when it does not. */
  isReady(ports: readonly number[]): Promise<boolean>;
}

const pullTimeoutMs = 600_000;
const commandTimeoutMs = 60_000;
const readyTimeoutMs = 90_000;
const askIntervalMs = 200;
/** Of `stop`: then the engine ends it by SIGKILL. */
const stopTimeoutS = 30;

/** Removes the container when its standard input ends. A paused one is woken first: docker does not kill it else. */
const removal = 'cat >/dev/null; "$0" unpause "$1"; exec "$0" rm --force --volumes "$1"';

/** A container that can be started, stopped, killed, paused and resumed; its port and data stay over restarts. */
export class ServerContainer {
  readonly #recipe: ContainerRecipe;
  readonly #engine: ContainerEngine;
  readonly #choosePorts: (count: number) => Promise<number[]>;
  #ports: readonly number[] | undefined;
  #container = "";
  #remover: ChildProcess | undefined;
  #isPaused = false;

  constructor(recipe: ContainerRecipe, engine: ContainerEngine, choosePorts: (count: number) => Promise<number[]>) {
    this.#recipe = recipe;
    this.#engine = engine;
    this.#choosePorts = choosePorts;
  }

  /** The ports it listens on, the same over restarts. Throws before the first start. */
  get ports(): readonly number[] {
    if (!this.#ports) throw new Error(`${this.#recipe.name} was never started`);
    return this.#ports;
  }

  /** How it runs, for people. */
  get way(): string {
    return `in a container of ${this.#engine.name} (${this.#recipe.container(this.ports).image})`;
  }

  /** Starts it and waits until it answers; does nothing when it runs. Ends by throwing, with what the server said. */
  async start(): Promise<void> {
    if (this.#isPaused) return;
    if (!this.#ports) {
      this.#ports = await startOnPorts(this.#recipe.portCount, this.#choosePorts, (ports) => this.#create(ports));
      return;
    }
    await this.#ask(["start", this.#container]);
    await this.#untilReady(this.#ports);
  }

  /** Ends it in its own orderly way and waits for its end. The data stays for the next start. */
  async stop(): Promise<void> {
    if (!this.#ports) return;
    this.resume();
    await this.#ask(["stop", "-t", String(stopTimeoutS), this.#container]);
  }

  /** Ends it by SIGKILL and waits for its end. The data stays for the next start. */
  async kill(): Promise<void> {
    if (!this.#ports) return;
    this.resume();
    await this.#ask(["kill", this.#container]).catch(() => undefined); // it may have ended by itself; wait will tell
    await this.#ask(["wait", this.#container]);
  }

  /** Halts it: its connections stay open and nothing answers. */
  pause(): void {
    if (this.#isPaused) return;
    this.#askNow(["pause", this.#container]);
    this.#isPaused = true;
  }

  /** Lets it go on after pause. */
  resume(): void {
    if (!this.#isPaused) return;
    this.#askNow(["unpause", this.#container]);
    this.#isPaused = false;
  }

  /** Ends it at once and removes it with its data. Throws when the engine could not. */
  async dispose(): Promise<void> {
    const isRemoved = await this.#remove();
    if (this.#ports && !isRemoved) throw new Error(`${this.#engine.name} could not remove ${this.#container}`);
    this.#ports = undefined;
    this.#isPaused = false;
  }

  async #create(ports: readonly number[]): Promise<void> {
    const { image, program, environment, args } = this.#recipe.container(ports);
    await this.#pull(image);
    this.#container = `jobmesh-test-${randomBytes(6).toString("hex")}`;
    this.#remover = startRemover(this.#engine, this.#container);
    const own = [
      ["run", "-d", "--name", this.#container, "-p", `127.0.0.1:${ports[0]}:${ports[0]}`],
      ...Object.entries(environment).map(([name, value]) => ["-e", `${name}=${value}`]),
      program ? ["--entrypoint", program] : [],
    ];
    try {
      await this.#ask([...own.flat(), image, ...args]);
      await this.#untilReady(ports);
    } catch (error) {
      await this.#remove();
      throw error;
    }
  }

  /** Before the container is made, so that making it is quick and its failure is the server's. */
  async #pull(image: string): Promise<void> {
    if (await this.#ask(["image", "inspect", image]).catch(() => undefined)) return;
    console.log(`jobmesh: pulling ${image} by ${this.#engine.name}`);
    await askEngine(this.#engine, ["pull", image], pullTimeoutMs).catch((error: unknown) => {
      const why = error instanceof Error ? error.message : String(error);
      throw new NotInstallable(`the image ${image} of ${this.#recipe.name} could not be pulled: ${why}`);
    });
  }

  async #untilReady(ports: readonly number[]): Promise<void> {
    const { name } = this.#recipe;
    const deadline = performance.now() + readyTimeoutMs;
    while (!(await this.#recipe.isReady(ports).catch(() => false))) {
      const { stdout } = await this.#ask(["inspect", "-f", "{{.State.Running}}", this.#container]);
      if (stdout.trim() !== "true") throw new Error(`${name} ended while starting:\n${await this.#logs()}`);
      if (performance.now() > deadline) {
        throw new Error(`${name} did not answer in ${readyTimeoutMs / 1000} s:\n${await this.#logs()}`);
      }
      await delay(askIntervalMs);
    }
  }

  async #logs(): Promise<string> {
    const { stdout, stderr } = await this.#ask(["logs", "--tail", "15", this.#container]);
    return `${stdout}${stderr}`.trimEnd();
  }

  async #remove(): Promise<boolean> {
    const remover = this.#remover;
    if (!remover) return true;
    this.#remover = undefined;
    const exited = once(remover, "exit");
    remover.stdin?.end();
    return (await exited)[0] === 0;
  }

  async #ask(args: readonly string[]): Promise<{ stdout: string; stderr: string }> {
    return await askEngine(this.#engine, args, commandTimeoutMs);
  }

  /** For pause and resume, which a server as a process does at once as well. */
  #askNow(args: readonly string[]): void {
    execFileSync(this.#engine.file, args, { stdio: ["ignore", "ignore", "pipe"], timeout: commandTimeoutMs });
  }
}

/** In a session of its own, and without the mark of a test file's processes: what ends those must not end this. */
function startRemover(engine: ContainerEngine, container: string): ChildProcess {
  const { [markVariable]: _, ...env } = process.env;
  const options = { detached: true, env, stdio: ["pipe", "ignore", "ignore"] as ["pipe", "ignore", "ignore"] };
  return spawn("/bin/sh", ["-c", removal, engine.file, container], options);
}
