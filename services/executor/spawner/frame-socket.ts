import type { Socket } from "node:net";
import { encodeFrame, type FrameKind, FrameReader } from "./frame.ts";
import type { FrameEar, FramePipe } from "./port/frame-pipe.ts";
import { sharedMonotonicMs } from "./shared-clock.ts";

/**
 * FrameSocket is one end of the pipe between an executor and its spawner, over a socket. The frames of one turn go out
 * in one write, and so are read together: a command that is stopped in the turn of its start never starts.
 */
export class FrameSocket implements FramePipe {
  readonly #socket: Socket;
  readonly #reader = new FrameReader();
  #corked = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  get backlogBytes(): number {
    return this.#socket.writableLength;
  }

  listen(ear: FrameEar): void {
    this.#socket.on("data", (chunk: Buffer) => {
      for (const frame of this.#reader.push(chunk)) ear.onFrame(frame);
    });
    for (const event of ["error", "close", "end"]) this.#socket.on(event, () => ear.onGone());
  }

  send(kind: FrameKind, ...parts: readonly Uint8Array[]): void {
    if (this.#socket.destroyed || this.#socket.writableEnded) return;
    this.#cork();
    for (const part of encodeFrame(kind, sharedMonotonicMs(), ...parts)) this.#socket.write(part);
  }

  end(): void {
    this.#socket.end(() => this.#socket.destroy());
  }

  #cork(): void {
    if (this.#corked) return;
    this.#corked = true;
    this.#socket.cork();
    setImmediate(() => this.#uncork());
  }

  #uncork(): void {
    this.#corked = false;
    this.#socket.uncork();
  }
}
