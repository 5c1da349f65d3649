import type { Execution } from "../../common/domain/execution.ts";
import type { ExecutionFilter } from "../../common/port/store-executions.ts";

/** True when a list with this filter would show the execution as it stands. Nominal times are from, and before. */
export function matchesFilter(filter: ExecutionFilter, execution: Execution): boolean {
  const { namespace, jobId, states, reasons, causes, executorId, handlerMethod, labels } = filter;
  const { scheduledAfterUs, scheduledBeforeUs } = filter;
  const { target } = execution;
  return (
    // Nothing has a parent until broadcasts come.
    filter.parentExecutionId == null &&
    (namespace === null || namespace === execution.namespace) &&
    (jobId === "" || jobId === execution.jobId) &&
    isAmong(states, execution.state) &&
    isAmong(reasons, execution.stateReason) &&
    isAmong(causes, execution.cause) &&
    (scheduledAfterUs === null || execution.scheduledUs >= scheduledAfterUs) &&
    (scheduledBeforeUs === null || execution.scheduledUs < scheduledBeforeUs) &&
    (executorId === "" || executorId === execution.executorId) &&
    (handlerMethod === "" || (target.kind === "handler" && target.method === handlerMethod)) &&
    Object.entries(labels).every(
      ([key, value]) => Object.hasOwn(execution.labels, key) && execution.labels[key] === value,
    )
  );
}

/** None named means all. */
function isAmong<T>(wanted: readonly T[], value: T): boolean {
  return wanted.length === 0 || wanted.includes(value);
}
