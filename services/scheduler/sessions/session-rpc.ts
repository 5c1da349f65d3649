import type { SessionDown, SessionUp } from "../../common/domain/session.ts";
import { JobmeshError } from "../../common/error/jobmesh-error.ts";
import type { BidiHandler, DuplexStream } from "../../common/rpc/contract.ts";
import type { SessionPeer } from "./session-peer.ts";
import type { SessionService } from "./session-service.ts";

/** Handler of ExecutorService.Session, to be served with `sessionService` of the wire. */
export function sessionHandler(service: SessionService): BidiHandler<SessionUp, SessionDown> {
  return (stream, context) => {
    const peer = peerOf(stream);
    const shutDown = (): void => peer.close(new JobmeshError("SHUTTING_DOWN"));
    context.stopping.addEventListener("abort", shutDown, { once: true });
    stream.onClosed(() => context.stopping.removeEventListener("abort", shutDown));
    service.connect(peer);
  };
}

function peerOf(stream: DuplexStream<SessionUp, SessionDown>): SessionPeer {
  return {
    // A reader that stands still is ended by the stream's own bound.
    send: (message) => void stream.send(message),
    onMessage: (callback) => stream.onMessage(callback),
    onEnd: (callback) => stream.onEnd(callback),
    onClosed: (callback) => stream.onClosed(callback),
    close: (error) => (error === null ? stream.end() : stream.fail(error)),
  };
}
