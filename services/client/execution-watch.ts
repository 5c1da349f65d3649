import {
  type DeepPartial,
  ListExecutionsRequest,
  WatchExecutionsRequest,
  type WatchExecutionsResponse,
} from "../../gen/jobmesh/v1/execution_service.ts";
import { JobmeshError } from "../common/error/jobmesh-error.ts";
import type { Clock } from "../common/port/clock.ts";
import type { MeshClient } from "./mesh-client.ts";

/** Between two tries while no scheduler answers. */
const TRY_AGAIN_MS = 250;

/** What is watched; all of the default namespace where nothing is said. */
export type WatchInput = DeepPartial<WatchExecutionsRequest>;

/**
 * State changes, over schedulers that come and go: a watch that breaks goes on
 * at another one from the last resume token, so that no final state is left
 * out; one may come twice. It begins at a list's token where none is given, and
 * so with what ended in the last seconds. A watch of one execution is over
 * after its final state, any other goes on until the signal aborts.
 */
export async function* watchExecutions(
  client: Pick<MeshClient, "executions">,
  clock: Clock,
  input: WatchInput,
  signal?: AbortSignal,
): AsyncGenerator<WatchExecutionsResponse> {
  const request = WatchExecutionsRequest.fromPartial(input);
  const { filter, executionId } = request;
  let { resumeToken } = request;
  for (;;) {
    try {
      if (resumeToken === "" && executionId === "") {
        const list = ListExecutionsRequest.fromPartial({ filter, pageSize: 1 });
        ({ resumeToken } = await client.executions.listExecutions(list, { signal, waitForReady: true }));
      }
      const options = { signal, waitForReady: true };
      for await (const change of client.executions.watchExecutions({ ...request, resumeToken }, options)) {
        resumeToken = change.resumeToken;
        // Without an execution it is only a newer token.
        if (change.execution !== undefined) yield change;
      }
      return;
    } catch (error) {
      if (signal?.aborted || !(error instanceof JobmeshError)) throw error;
      const isAway = error.code === "UNAVAILABLE" || error.reason === "DEADLINE";
      if (!isAway && !error.retryable) throw error;
      await clock.sleep(error.retryDelayMs ?? TRY_AGAIN_MS, signal);
    }
  }
}
