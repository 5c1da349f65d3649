import type { WatchExecutionsResponse } from "../../../gen/jobmesh/v1/execution_service.ts";
import type { Execution } from "../../common/domain/execution.ts";
import { storedSize } from "../../common/domain/parameter.ts";
import type { EndedPlace } from "../../common/port/store-retention.ts";
import type { CallContext, SendStream } from "../../common/rpc/contract.ts";
import { executionToMessage } from "../../common/wire/execution.ts";
import { resumeToken } from "../feed/resume-token.ts";

/**
 * WatchSender sends to one watcher, at the watcher's pace: each call resolves
 * when there is room for the next message. So what waits to be sent is what the
 * stream holds before it says that enough waits (its softBufferedMessages, or
 * 4 MiB of large ones) and one message, however slow the watcher is.
 */
export class WatchSender {
  readonly #stream: SendStream<WatchExecutionsResponse>;
  readonly #full: boolean;
  readonly #signal: AbortSignal;
  #isQuiet = true;

  /** @param full with targets and results */
  constructor(stream: SendStream<WatchExecutionsResponse>, full: boolean, context: Pick<CallContext, "signal">) {
    this.#stream = stream;
    this.#full = full;
    this.#signal = context.signal;
  }

  /** Sends a state of an execution; after it the watcher resumes at the place. */
  async send(execution: Execution, place: EndedPlace): Promise<void> {
    this.#isQuiet = false;
    const message = { execution: executionToMessage(execution, this.#full), resumeToken: resumeToken(place) };
    await this.#write(message, storedSize(execution) + (execution.result?.length ?? 0));
  }

  /** Sends a place alone, where nothing was sent since this was called last: else the watcher has a token that is hardly older. */
  async sendPlace(place: EndedPlace): Promise<void> {
    if (this.#isQuiet) await this.#write({ execution: undefined, resumeToken: resumeToken(place) }, 0);
    this.#isQuiet = true;
  }

  async #write(message: WatchExecutionsResponse, bytes: number): Promise<void> {
    if (this.#signal.aborted) return;
    if (!this.#stream.send(message, bytes)) await this.#stream.ready();
  }
}
