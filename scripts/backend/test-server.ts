/**
 * One real server of the tests, as a process of this machine or in a container. Which way, in this order:
 *
 * 1. JOBMESH_TEST_ENGINE=local: a process, its programs installed where they are missing; else it fails.
 *    JOBMESH_TEST_ENGINE=container: a container, by docker or else podman; it fails where neither answers.
 * 2. Without that: a process where its programs are installed or can be (as root, by apt-get, Kafka by Maven);
 * 3. else a container where an engine answers;
 * 4. else it fails as NotInstallable, saying both reasons.
 *
 * Servers that are given (JOBMESH_TEST_ETCD and so on, see startBackends) come before all of this. Containers were not
 * run against a real engine yet: see ServerContainer.
 */
import { findEngine } from "./container-engine.ts";
import { freePorts } from "./free-ports.ts";
import { NotInstallable } from "./installation.ts";
import { type ContainerRecipe, ServerContainer } from "./server-container.ts";
import { ServerProcess, type ServerRecipe } from "./server-process.ts";

/** The environment variable that says how the servers run: "local" or "container". */
export const engineVariable = "JOBMESH_TEST_ENGINE";

/** How to run one kind of server, either way. */
export type TestServerRecipe = ServerRecipe & ContainerRecipe;

/** A server that can be started, stopped, killed, paused and resumed; its ports and data stay over restarts. */
export class TestServer {
  readonly #recipe: TestServerRecipe;
  readonly #choosePorts: (count: number) => Promise<number[]>;
  #server: ServerProcess | ServerContainer | undefined;

  constructor(recipe: TestServerRecipe, choosePorts: (count: number) => Promise<number[]> = freePorts) {
    this.#recipe = recipe;
    this.#choosePorts = choosePorts;
  }

  /** The name in messages, such as "etcd". */
  get name(): string {
    return this.#recipe.name;
  }

  /** The ports it listens on, the same over restarts. Throws before the first start. */
  get ports(): readonly number[] {
    if (!this.#server) throw new Error(`${this.name} was never started`);
    return this.#server.ports;
  }

  /** How it runs, for people, such as "as a process". Throws before the first start. */
  get way(): string {
    if (!this.#server) throw new Error(`${this.name} was never started`);
    return this.#server instanceof ServerContainer ? this.#server.way : "as a process";
  }

  /**
   * Starts it, the first time choosing the way, and waits until it answers; does nothing when it runs. Throws with
   * what the server said, or NotInstallable.
   */
  async start(): Promise<void> {
    if (this.#server) return await this.#server.start();
    const preference = enginePreference();
    let why = `${engineVariable}=container asks for a container for ${this.name}`;
    if (preference !== "container") {
      this.#server = new ServerProcess(this.#recipe, this.#choosePorts);
      try {
        return await this.#server.start();
      } catch (error) {
        if (preference === "local" || !(error instanceof NotInstallable)) throw error;
        why = error.message;
        await this.dispose();
      }
    }
    const engine = await findEngine();
    if (!engine) throw new NotInstallable(`${why}; and no container engine answers (docker info, podman info)`);
    this.#server = new ServerContainer(this.#recipe, engine, this.#choosePorts);
    await this.#server.start().catch((error: unknown) => {
      if (error instanceof NotInstallable) throw new NotInstallable(`${why}; and ${error.message}`);
      throw error;
    });
  }

  /** Ends it in its own orderly way and waits for its end. The data stays for the next start. */
  async stop(): Promise<void> {
    await this.#server?.stop();
  }

  /** Ends it by SIGKILL and waits for its end. The data stays for the next start. */
  async kill(): Promise<void> {
    await this.#server?.kill();
  }

  /** Halts it: its connections stay open and nothing answers. */
  pause(): void {
    this.#server?.pause();
  }

  /** Lets it go on after pause. */
  resume(): void {
    this.#server?.resume();
  }

  /** Ends it at once and removes its data; the next start chooses the way anew. */
  async dispose(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    await server?.dispose();
  }
}

function enginePreference(): "local" | "container" | undefined {
  const value = process.env[engineVariable] ?? "";
  if (value === "local" || value === "container") return value;
  if (value !== "") throw new Error(`${engineVariable} is "${value}": it must be local or container`);
  return undefined;
}
