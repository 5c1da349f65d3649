import type { ExecutionFilter as FilterMessage } from "../../../gen/jobmesh/v1/execution_service.ts";
import type { ExecutionFilter } from "../../common/port/store-executions.ts";
import { causeOfNumber, reasonOfNumber, stateOfNumber } from "../../common/wire/execution.ts";
import type { FieldFaults } from "./field-faults.ts";
import { DEFAULT_NAMESPACE } from "./job-reader.ts";

/** "-" stands for all namespaces; null. */
export function readNamespaceFilter(faults: FieldFaults, field: string, value: string): string | null {
  return value === "-" ? null : faults.identifier(field, value, DEFAULT_NAMESPACE);
}

/** Reads a filter; what is unset selects all of the default namespace. */
export function readExecutionFilter(faults: FieldFaults, message: FilterMessage | undefined): ExecutionFilter {
  const parent = message?.parentExecutionId ?? "";
  return {
    namespace: readNamespaceFilter(faults, "filter.namespace", message?.namespace ?? ""),
    jobId: message?.jobId === undefined ? "" : faults.identifier("filter.job_id", message.jobId, ""),
    states: known(faults, "filter.states", message?.states ?? [], stateOfNumber),
    reasons: known(faults, "filter.reasons", message?.reasons ?? [], reasonOfNumber),
    causes: known(faults, "filter.causes", message?.causes ?? [], causeOfNumber),
    scheduledAfterUs: faults.timestampUs("filter.scheduled_after", message?.scheduledAfter),
    scheduledBeforeUs: faults.timestampUs("filter.scheduled_before", message?.scheduledBefore),
    executorId:
      message?.executorId === undefined ? "" : faults.identifier("filter.executor_id", message.executorId, ""),
    handlerMethod: faults.text("filter.handler_method", message?.handlerMethod ?? "", 255),
    labels: faults.labels("filter.labels", message?.labels ?? {}),
    parentExecutionId: parent === "" ? null : faults.executionId("filter.parent_execution_id", parent),
  };
}

function known<N extends number, T>(
  faults: FieldFaults,
  field: string,
  numbers: readonly N[],
  read: (number: N) => T | null,
): readonly T[] {
  const values = numbers.flatMap((number, index) => {
    const value = read(number);
    if (value === null) faults.add(`${field}[${index}]`, `${number} is no value of this field`);
    return value === null ? [] : [value];
  });
  // However often a value is named, the store is asked for it once.
  return [...new Set(values)];
}
