import assert from "node:assert/strict";
import type { Execution } from "../../../gen/jobmesh/v1/execution.ts";
import {
  type DeepPartial,
  ExecutionServiceService,
  SubmitExecutionRequest,
} from "../../../gen/jobmesh/v1/execution_service.ts";
import { command } from "../../../services/client/targets.ts";
import type { ExecutionId } from "../../../services/common/domain/identifier.ts";
import type { CallContext } from "../../../services/common/rpc/contract.ts";
import type { Scheduler } from "../../../services/scheduler/scheduler.ts";

type UnarySubmit = (
  request: SubmitExecutionRequest,
  context: Pick<CallContext, "traceparent" | "tracestate">,
) => Promise<{ readonly execution: Execution | undefined }>;

/** SubmitExecution of a command, by a scheduler's own handlers. */
export function submitTo(scheduler: Scheduler): (input?: DeepPartial<SubmitExecutionRequest>) => Promise<ExecutionId> {
  const served = scheduler.services().find(({ definition }) => definition === ExecutionServiceService);
  assert.ok(served !== undefined);
  const { submitExecution } = served.handlers as { submitExecution: UnarySubmit };
  return async (input = {}) => {
    const request = SubmitExecutionRequest.fromPartial({ target: command("true"), ...input });
    const { execution } = await submitExecution(request, { traceparent: null, tracestate: null });
    return execution?.executionId as ExecutionId;
  };
}
