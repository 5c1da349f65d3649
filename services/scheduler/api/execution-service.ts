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
} from "../../../gen/jobmesh/v1/execution_service.ts";
import { isFinal } from "../../common/domain/execution.ts";
import { JobmeshError } from "../../common/error/jobmesh-error.ts";
import type { Store } from "../../common/port/store.ts";
import type { CallContext, Handlers } from "../../common/rpc/contract.ts";
import { attemptToMessage, executionToMessage, stateNumber } from "../../common/wire/execution.ts";
import type { Hints } from "../hints.ts";
import type { EndedWaits } from "./ended-waits.ts";
import { readExecutionFilter } from "./execution-filter.ts";
import { executionNotFound, existing } from "./execution-lookup.ts";
import { FieldFaults } from "./field-faults.ts";
import type { KnownTypes } from "./known-types.ts";
import { type LogDeps, LogReader } from "./log-reader.ts";
import { cutPage, readPageSize } from "./page.ts";
import { resultJson } from "./result-json.ts";
import { withStoreErrors } from "./store-errors.ts";
import type { Submissions } from "./submissions.ts";
import { explainedPage, withWaitingReasons } from "./waiting-reason.ts";

/** Characters of a cancel's reason. */
const MAX_REASON_CHARACTERS = 1_000;
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
    cancelExecution: (request: CancelExecutionRequest) => cancelExecution(deps, request),
    retryExecution: (request: RetryExecutionRequest, context: CallContext) => retryExecution(deps, request, context),
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
  const page = await cutPage(
    pageSize,
    request.pageToken,
    async (size, token) => {
      const { items, nextToken } = await deps.store.executions.list(filter, size, token, full);
      return { items: await explainedPage(deps.store, items), nextToken };
    },
    { toMessage: (execution) => executionToMessage(execution, full), type: ExecutionMessage },
  );
  return { executions: page.messages, nextPageToken: page.nextPageToken, resumeToken: "" };
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

async function cancelExecution(deps: ExecutionServiceDeps, request: CancelExecutionRequest) {
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
      break;
    case "was_final":
      if (outcome.execution.state === "CANCELLED") break;
      throw new JobmeshError("EXECUTION_ENDED", {
        message: `execution ${executionId} has ended as ${outcome.execution.state}`,
        metadata: { executionId, state: outcome.execution.state },
      });
  }
  return { execution: executionToMessage(outcome.execution, true) };
}
