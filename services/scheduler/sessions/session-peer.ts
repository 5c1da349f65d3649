import type { SessionDown, SessionUp } from "../../common/domain/session.ts";
import type { JobmeshError } from "../../common/error/jobmesh-error.ts";

/** The executor's end of a session as its home sees it, whatever carries it: a gRPC stream, or the same process. */
export interface SessionPeer {
  /** Sends a message; after the end it does nothing. */
  send(message: SessionDown): void;
  /** Messages arrive here, none before this is called. A callback that throws ends the session. */
  onMessage(callback: (message: SessionUp) => void): void;
  /** The executor says no more; it may still listen. */
  onEnd(callback: () => void): void;
  /** Once, when the session is over: null after an orderly end, else why. At once if that is past. */
  onClosed(callback: (error: JobmeshError | null) => void): void;
  /** Ends the session: in order with null, else with this error. */
  close(error: JobmeshError | null): void;
}
