import type { ChildProcess } from "node:child_process";
import type { Socket } from "node:net";
import type { Clock } from "../../common/port/clock.ts";
import { forkProgram } from "./fork-program.ts";
import { encodeFrame, encodeJson, type Frame, FrameKind, FrameReader, sharedMonotonicMs } from "./frame.ts";
import type { AliveFrame, SpawnerSettings } from "./messages.ts";

/** Milliseconds for a spawner process to say that it is ready. */
const READY_TIMEOUT_MS = 15_000;

/** SpawnerLink is one spawner process and the socket to it, from ready to dead. */
export class SpawnerLink {
  /** Resolves when the process is dead and everything that it said has been read. */
  readonly closed: Promise<void>;
  readonly #child: ChildProcess;
  readonly #socket: Socket;
  readonly #reader = new FrameReader();
  readonly #ready = Promise.withResolvers<void>();
  #unanswered = 0;

  /** Starts a spawner process. Rejects when it is not ready in time; then it is dead. */
  static async open(
    clock: Clock,
    dataDir: string,
    settings: SpawnerSettings,
    onFrame: (frame: Frame) => void,
  ): Promise<SpawnerLink> {
    const link = new SpawnerLink(await forkProgram(dataDir, settings), onFrame);
    const settled = new AbortController();
    const late = clock.sleep(READY_TIMEOUT_MS, settled.signal).then(() => {
      if (!settled.signal.aborted) link.kill();
    });
    try {
      await link.#ready.promise;
      return link;
    } finally {
      settled.abort();
      await late;
    }
  }

  private constructor(child: ChildProcess, onFrame: (frame: Frame) => void) {
    this.#child = child;
    this.#socket = child.stdio[3] as Socket;
    this.#socket.on("data", (chunk: Buffer) => {
      for (const frame of this.#reader.push(chunk)) {
        if (frame.kind === FrameKind.READY) this.#onReady();
        else onFrame(frame);
      }
    });
    // What breaks the socket ends the process; its end is what counts.
    this.#socket.on("error", () => {});
    child.on("error", (error) => this.#ready.reject(error));
    this.closed = new Promise((resolve) => {
      child.on("close", (code, signal) => {
        this.#ready.reject(new Error(`the spawner process ended with ${signal ?? `code ${code}`} before it was ready`));
        resolve();
      });
    });
  }

  /** Process id. */
  get processId(): number | undefined {
    return this.#child.pid;
  }

  /** Signs of life since its last answer to one. */
  get unanswered(): number {
    return this.#unanswered;
  }

  /** Says that this process lives; the spawner process answers. */
  sayAlive(alive: AliveFrame): void {
    this.#unanswered++;
    this.send(FrameKind.ALIVE, ...encodeJson(alive));
  }

  /** Kills the process at once. */
  kill(): void {
    this.#child.kill("SIGKILL");
  }

  /** Sends a frame; nothing when the process is gone. */
  send(kind: FrameKind, ...parts: readonly Uint8Array[]): void {
    if (this.#socket.destroyed || this.#socket.writableEnded) return;
    this.#socket.cork();
    for (const part of encodeFrame(kind, sharedMonotonicMs(), ...parts)) this.#socket.write(part);
    this.#socket.uncork();
  }

  /** Asks the process to kill everything and leave; kills it when it has not after that long. Resolves when it is dead. */
  async close(clock: Clock, timeoutMs: number): Promise<void> {
    this.send(FrameKind.CLOSE);
    const closed = new AbortController();
    const late = clock.sleep(timeoutMs, closed.signal).then(() => {
      if (!closed.signal.aborted) this.kill();
    });
    await this.closed;
    closed.abort();
    await late;
  }

  #onReady(): void {
    this.#unanswered = 0;
    this.#ready.resolve();
  }
}
