import type { Clock } from "../../common/port/clock.ts";
import { encodeJson, type Frame, FrameKind } from "./frame.ts";
import type { AliveFrame } from "./messages.ts";
import type { SpawnerChild, SpawnerHost, SpawnerStart } from "./port/spawner-host.ts";

/** Milliseconds for a spawner process to say that it is ready. */
const READY_TIMEOUT_MS = 15_000;

/** SpawnerLink is one spawner process and the pipe to it, from ready to dead. */
export class SpawnerLink {
  /** Resolves when the process is dead and everything that it said has been read. */
  readonly closed: Promise<void>;
  readonly #child: SpawnerChild;
  readonly #ready = Promise.withResolvers<void>();
  #unanswered = 0;

  /** Starts a spawner process. Rejects when it is not ready in time; then it is dead. */
  static async open(
    clock: Clock,
    host: Pick<SpawnerHost, "open">,
    start: SpawnerStart,
    onFrame: (frame: Frame) => void,
  ): Promise<SpawnerLink> {
    const link = new SpawnerLink(await host.open(start), onFrame);
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

  private constructor(child: SpawnerChild, onFrame: (frame: Frame) => void) {
    this.#child = child;
    child.pipe.listen({
      onFrame: (frame) => {
        if (frame.kind === FrameKind.READY) this.#onReady();
        else onFrame(frame);
      },
      // What breaks the pipe ends the process; its end is what counts.
      onGone: () => {},
    });
    this.closed = child.closed.then((how) => {
      this.#ready.reject(new Error(`the spawner process ended with ${how} before it was ready`));
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
    this.#child.kill();
  }

  /** Sends a frame; nothing when the process is gone. */
  send(kind: FrameKind, ...parts: readonly Uint8Array[]): void {
    this.#child.pipe.send(kind, ...parts);
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
