import type { WatchExecutionsResponse } from "../../../gen/jobmesh/v1/execution_service.ts";
import { isFinal } from "../../common/domain/execution.ts";
import type { ExecutionId } from "../../common/domain/identifier.ts";
import { JobmeshError } from "../../common/error/jobmesh-error.ts";
import type { Store } from "../../common/port/store.ts";
import type { CallContext, SendStream } from "../../common/rpc/contract.ts";
import { placeAt } from "../feed/resume-token.ts";
import type { EndedWaits } from "./ended-waits.ts";
import { executionNotFound } from "./execution-lookup.ts";
import { matchesFilter } from "./filter-match.ts";
import { explainedPage } from "./waiting-reason.ts";
import type { WatchRequest } from "./watch-request.ts";
import { WatchSender } from "./watch-sender.ts";

/**
 * A call of WatchExecutions for one execution: its present state first, each
 * state after it as it is seen, and the end of the stream after its final one.
 * As it begins with what is there, a resume token of any age loses nothing. A
 * slow watcher is told the state that there is when it can be told.
 */
export async function watchOne(
  { store, waits }: { readonly store: Store; readonly waits: EndedWaits },
  executionId: ExecutionId,
  { filter, full }: WatchRequest,
  stream: SendStream<WatchExecutionsResponse>,
  { signal, stopping }: CallContext,
): Promise<void> {
  const sender = new WatchSender(stream, full, { signal });
  const waiting = AbortSignal.any([signal, stopping]);
  for (let told = 0; !signal.aborted; ) {
    // The clock is read first: what the place stands for may not be later than what is told.
    const place = placeAt((await store.nowUs()) - store.feed.settleUs);
    const [found] = await store.feed.read([executionId], full);
    if (found === undefined) throw executionNotFound(executionId);
    const [execution = found] = await explainedPage(store, [found]);
    if (found.changeNumber > told && matchesFilter(filter, execution)) {
      await sender.send(execution, place);
    }
    told = found.changeNumber;
    if (isFinal(found.state) || signal.aborted) return;
    // An OK would say that it has ended.
    if (stopping.aborted) throw new JobmeshError("SHUTTING_DOWN");
    await waits.wait(executionId, waiting, found.state);
  }
}
