import type { Frame, FrameKind } from "../frame.ts";

/** Who listens at one end of a pipe. */
export interface FrameEar {
  /** Hears each frame, in the order of their sending. */
  onFrame(frame: Frame): void;
  /** The other end is gone and everything that it said was heard. May be said more than once. */
  onGone(): void;
}

/** FramePipe is one end of the pipe between an executor and its spawner process; see frame.ts. */
export interface FramePipe {
  /** Bytes that were sent and that nobody has taken yet. */
  readonly backlogBytes: number;
  /** Begins to hear; what came before waits for it. To be called once. */
  listen(ear: FrameEar): void;
  /** Sends a frame, stamped with the machine's time; nothing when either end is gone. */
  send(kind: FrameKind, ...parts: readonly Uint8Array[]): void;
  /** Closes the pipe once everything is on its way. */
  end(): void;
}
