import {
  Attempt as AttemptMessage,
  Execution as ExecutionMessage,
  ExecutionView,
} from "../../../gen/jobmesh/v1/execution.ts";
import type {
  CancelExecutionRequest,
  CountExecutionsRequest,
  ExecutionServiceService,
  GetExecutionRequest,
  ListAttemptsRequest,
  ListExecutionsRequest,
  RetryExecutionRequest,
  SubmitExecutionRequest,
  WatchExecutionsRequest,
  WatchExecutionsResponse,
} from "../../../gen/jobmesh/v1/execution_service.ts";
import { type Execution, isFinal } from "../../common/domain/execution.ts";
import { holdUntilUs } from "../../common/domain/held-fire.ts";
import { JobmeshError } from "../../common/error/jobmesh-error.ts";
import type { Store } from "../../common/port/store.ts";
import type { CallContext, Handlers, SendStream } from "../../common/rpc/contract.ts";
import { attemptToMessage, executionToMessage, stateNumber } from "../../common/wire/execution.ts";
import type { ExecutionFeed } from "../feed/execution-feed.ts";
import { placeAt, placeOfToken, resumeToken } from "../feed/resume-token.ts";
import type { Hints } from "../hints.ts";
import type { EndedWaits } from "./ended-waits.ts";
import { readExecutionFilter } from "./execution-filter.ts";
import { executionNotFound, existing } from "./execution-lookup.ts";
import { FilteredWatch } from "./execution-watch.ts";
import { FieldFaults } from "./field-faults.ts";
import type { HeldWaits } from "./held-waits.ts";
import type { KnownTypes } from "./known-types.ts";
import { type LogDeps, LogReader } from "./log-reader.ts";
import { watchOne } from "./one-execution-watch.ts";
import { cutPage, readPageSize } from "./page.ts";
import { resultJson } from "./result-json.ts";
import { withStoreErrors } from "./store-errors.ts";
import type { Submissions } from "./submissions.ts";
import { explainedPage, withWaitingReasons } from "./waiting-reason.ts";
import { readWatchRequest } from "./watch-request.ts";

/** Characters of a cancel's reason. */
const MAX_REASON_CHARACTERS = 1_000;
/** Between the store's page token and the resume token; in neither. */
const LIST_PLACE_SEPARATOR = ".";
/** How much of an execution an answer holds. */
const views = {
  [ExecutionView.EXECUTION_VIEW_BASIC]: "BASIC",
  [ExecutionView.EXECUTION_VIEW_FULL]: "FULL",
} as const;

/** What ExecutionService is made of. */
export type ExecutionServiceDeps = {
  readonly store: Store;
  readonly hints: Hints;
  readonly waits: EndedWaits;
  readonly held: HeldWaits;
  readonly feed: ExecutionFeed;
  readonly submissions: Submissions;
  readonly logs: LogDeps;
  readonly types: KnownTypes;
};

/** ExecutionService: submits, follows and stops executions. */
export function executionHandlers(deps: ExecutionServiceDeps): Handlers<typeof ExecutionServiceService> {
  const logs = new LogReader(deps.logs);
  return withStoreErrors<Handlers<typeof ExecutionServiceService>>({
    submitExecution: (request: SubmitExecutionRequest, context: CallContext) => submitExecution(deps, request, context),
    submitExecutions: (stream, context) => deps.submissions.openStream(stream, context),
    getExecution: (request: GetExecutionRequest, context: CallContext) => getExecution(deps, request, context),
    listExecutions: (request: ListExecutionsRequest) => listExecutions(deps, request),
    countExecutions: (request: CountExecutionsRequest) => countExecutions(deps, request),
    listAttempts: (request: ListAttemptsRequest) => listAttempts(deps, request),
    cancelExecution: (request: CancelExecutionRequest, context: CallContext) => cancelExecution(deps, request, context),
    retryExecution: (request: RetryExecutionRequest, context: CallContext) => retryExecution(deps, request, context),
    watchExecutions: (request, stream, context) => watchExecutions(deps, request, stream, context),
    readLogs: (request, stream, context) => logs.open(request, stream, context),
  });
}

async function submitExecution(deps: ExecutionServiceDeps, request: SubmitExecutionRequest, context: CallContext) {
  const execution = await deps.submissions.submit(request, context);
  return { execution: executionToMessage(execution, true) };
}

async function retryExecution(deps: ExecutionServiceDeps, request: RetryExecutionRequest, context: CallContext) {
  const execution = await deps.submissions.retry(request, context);
  return { execution: executionToMessage(execution, true) };
}

async function getExecution(deps: ExecutionServiceDeps, request: GetExecutionRequest, context: CallContext) {
  const faults = new FieldFaults();
  const executionId = faults.executionId("execution_id", request.executionId);
  const full = faults.oneOf("view", views, request.view, "FULL") === "FULL";
  faults.throwIfAny();
  for (;;) {
    const execution = await existing(deps.store, executionId);
    if (!request.waitUntilEnded || isFinal(execution.state)) {
      const message = executionToMessage((await explainedPage(deps.store, [execution]))[0] ?? execution, full);
      return { execution: full ? { ...message, resultJson: await resultJson(deps.types, execution) } : message };
    }
    await deps.waits.wait(executionId, AbortSignal.any([context.signal, context.stopping]));
    if (context.signal.aborted) throw context.signal.reason;
    if (context.stopping.aborted) throw new JobmeshError("SHUTTING_DOWN");
  }
}

async function listExecutions(deps: ExecutionServiceDeps, request: ListExecutionsRequest) {
  const faults = new FieldFaults();
  const wanted = readExecutionFilter(faults, request.filter);
  const pageSize = readPageSize(faults, request.pageSize);
  const full = faults.oneOf("view", views, request.view, "BASIC") === "FULL";
  faults.throwIfAny();
  const filter = await withWaitingReasons(deps.store, wanted);
  const place = readListPlace(request.pageToken);
  // Read before the list: what ends from then on a watch tells, and what had ended the list shows.
  const token = place.resumeToken || resumeToken(placeAt((await deps.store.nowUs()) - deps.store.feed.settleUs));
  const page = await cutPage(
    pageSize,
    place.pageToken,
    async (size, token) => {
      const { items, nextToken } = await deps.store.executions.list(filter, size, token, full);
      return { items: await explainedPage(deps.store, items), nextToken };
    },
    { toMessage: (execution) => executionToMessage(execution, full), type: ExecutionMessage },
  );
  const nextPageToken = page.nextPageToken === "" ? "" : `${page.nextPageToken}${LIST_PLACE_SEPARATOR}${token}`;
  return { executions: page.messages, nextPageToken, resumeToken: token };
}

/**
 * A page token of this list carries the resume token of the first page: what
 * an earlier page showed running may have ended before a later one is read.
 */
function readListPlace(text: string): { readonly pageToken: string; readonly resumeToken: string } {
  const [pageToken = "", token] = text.split(LIST_PLACE_SEPARATOR, 2);
  return token === undefined || placeOfToken(token) === null
    ? { pageToken: text, resumeToken: "" }
    : { pageToken, resumeToken: token };
}

async function watchExecutions(
  deps: ExecutionServiceDeps,
  request: WatchExecutionsRequest,
  stream: SendStream<WatchExecutionsResponse>,
  context: CallContext,
) {
  const wanted = readWatchRequest(request);
  const { executionId } = wanted;
  await deps.feed.watch((open) =>
    executionId === null
      ? new FilteredWatch(deps, wanted, stream, context).run(open())
      : watchOne(deps, executionId, wanted, stream, context),
  );
}

async function countExecutions(deps: ExecutionServiceDeps, request: CountExecutionsRequest) {
  const faults = new FieldFaults();
  const filter = readExecutionFilter(faults, request.filter);
  faults.throwIfAny();
  const counts = await deps.store.executions.count(await withWaitingReasons(deps.store, filter));
  return { counts: counts.map(({ state, count }) => ({ state: stateNumber(state), count: BigInt(count) })) };
}

async function listAttempts(deps: ExecutionServiceDeps, request: ListAttemptsRequest) {
  const faults = new FieldFaults();
  const executionId = faults.executionId("execution_id", request.executionId);
  const pageSize = readPageSize(faults, request.pageSize);
  faults.throwIfAny();
  await existing(deps.store, executionId);
  const page = await cutPage(
    pageSize,
    request.pageToken,
    (size, token) => deps.store.executions.attempts(executionId, size, token),
    { toMessage: attemptToMessage, type: AttemptMessage },
  );
  return { attempts: page.messages, nextPageToken: page.nextPageToken };
}

async function cancelExecution(deps: ExecutionServiceDeps, request: CancelExecutionRequest, context: CallContext) {
  const faults = new FieldFaults();
  const executionId = faults.executionId("execution_id", request.executionId);
  const reason = faults.text("reason", request.reason, MAX_REASON_CHARACTERS);
  faults.throwIfAny();
  const outcome = await deps.store.executions.requestStop(executionId, "CANCEL", reason);
  switch (outcome.kind) {
    case "not_found":
      throw executionNotFound(executionId);
    case "ended":
      deps.hints.tell({ kind: "ended", executionId });
      break;
    case "stopping":
      deps.hints.tell({ kind: "stop", executionId });
      if (!isHeld(outcome.execution)) break;
      // Rule 11: what is held never starts after its cancel was answered.
      await deps.held.back([outcome.execution], context);
      return { execution: executionToMessage(await existing(deps.store, executionId), true) };
    case "was_final":
      if (outcome.execution.state === "CANCELLED") break;
      throw new JobmeshError("EXECUTION_ENDED", {
        message: `execution ${executionId} has ended as ${outcome.execution.state}`,
        metadata: { executionId, state: outcome.execution.state },
      });
  }
  return { execution: executionToMessage(outcome.execution, true) };
}

/** True when it was held for its time when the stop was set. */
function isHeld(execution: Execution): boolean {
  const { state, stop } = execution;
  return state === "DISPATCHED" && (holdUntilUs(execution) ?? 0) > (stop?.timeUs ?? 0);
}
