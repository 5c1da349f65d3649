import type { SessionDown, SessionUp } from "../common/domain/session.ts";
import type { JobmeshError } from "../common/error/jobmesh-error.ts";

/** SessionLink is one stream to a home, whatever carries it: gRPC, or a call in the same process. */
export interface SessionLink {
  /** Sends in order. False says that enough waits: what can wait holds back until onDrain. */
  send(messages: readonly SessionUp[]): boolean;
  onDrain(callback: () => void): void;
  /** Messages that came together come as one list. */
  onMessages(callback: (messages: readonly SessionDown[]) => void): void;
  /** Exactly once, when the stream is over: null after an orderly end, else why. */
  onClosed(callback: (error: JobmeshError | null) => void): void;
  /** Ends this side after what was sent; the home ends the other. */
  end(): void;
  /** Drops the stream at once. */
  drop(): void;
}

/** SessionConnector finds a home. */
export interface SessionConnector {
  /** Opens a stream to a scheduler, another one than the last where there are several. Rejects with a JobmeshError. */
  open(signal: AbortSignal): Promise<SessionLink>;
  /** Closes what it holds open for later streams. */
  close(): void;
}
