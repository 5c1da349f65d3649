import type { SubmitExecutionsRequest, SubmitExecutionsResponse } from "../../../gen/jobmesh/v1/execution_service.ts";
import { JobmeshError } from "../../common/error/jobmesh-error.ts";
import type { CallContext, DuplexStream } from "../../common/rpc/contract.ts";

/** Submissions of one stream whose answer has not left yet; more hold the stream back. */
const MAX_STREAM_IN_FLIGHT = 4_096;

/** One stream of SubmitExecutions. */
export type SubmissionStream = DuplexStream<SubmitExecutionsRequest, SubmitExecutionsResponse>;

/**
 * Serves a stream: each request is answered by itself, in the order in which
 * they are done. A caller that sends more than is stored, or that does not read
 * its answers, is held back by the connection. When the server stops, what was
 * read is answered, and then the stream ends with SHUTTING_DOWN: what has no
 * answer by then was not taken.
 *
 * @param answer never rejects
 */
export function serveSubmissions(
  stream: SubmissionStream,
  { stopping }: Pick<CallContext, "stopping">,
  answer: (request: SubmitExecutionsRequest) => Promise<SubmitExecutionsResponse>,
): void {
  let unanswered = 0;
  let ended = false;
  let held = false;
  const balance = (): void => {
    const inFlight = unanswered + stream.buffered;
    if (!held && inFlight >= MAX_STREAM_IN_FLIGHT) {
      held = true;
      stream.pause();
    } else if (held && inFlight <= MAX_STREAM_IN_FLIGHT / 2 && !stopping.aborted) {
      held = false;
      stream.resume();
    }
    if (unanswered > 0) return;
    if (ended) stream.end();
    else if (stopping.aborted) stream.fail(new JobmeshError("SHUTTING_DOWN"));
  };
  const stop = (): void => {
    held = true;
    stream.pause();
    balance();
  };
  stream.onMessage((request) => {
    unanswered += 1;
    void answer(request).then((response) => {
      stream.send(response);
      unanswered -= 1;
      balance();
    });
    balance();
  });
  stream.onDrain(balance);
  stream.onEnd(() => {
    ended = true;
    balance();
  });
  stopping.addEventListener("abort", stop, { once: true });
  stream.onClosed(() => stopping.removeEventListener("abort", stop));
  if (stopping.aborted) stop();
}
