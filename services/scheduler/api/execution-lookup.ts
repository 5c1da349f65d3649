import type { Execution } from "../../common/domain/execution.ts";
import type { ExecutionId } from "../../common/domain/identifier.ts";
import { JobmeshError } from "../../common/error/jobmesh-error.ts";
import type { Store } from "../../common/port/store.ts";

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
