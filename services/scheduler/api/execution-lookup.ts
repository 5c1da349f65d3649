import type { Execution } from "../../common/domain/execution.ts";
import { EXECUTION_ID_PATTERN } from "../../common/domain/execution-id.ts";
import type { ExecutionId } from "../../common/domain/identifier.ts";
import { JobmeshError } from "../../common/error/jobmesh-error.ts";
import type { Store } from "../../common/port/store.ts";

/** Checks the form of an execution_id. */
export function checkExecutionId(value: string): ExecutionId {
  if (EXECUTION_ID_PATTERN.test(value)) return value as ExecutionId;
  throw JobmeshError.invalid({ field: "execution_id", description: "must be a UUID in lower case" });
}

/** The execution, or NOT_FOUND. */
export async function existing(store: Store, executionId: ExecutionId): Promise<Execution> {
  const execution = await store.executions.get(executionId);
  if (execution === null) throw executionNotFound(executionId);
  return execution;
}

/** NOT_FOUND for an execution. */
export function executionNotFound(executionId: ExecutionId): JobmeshError {
  return new JobmeshError("EXECUTION_NOT_FOUND", {
    message: `there is no execution ${executionId}`,
    metadata: { executionId },
  });
}
