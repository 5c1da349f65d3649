import { ExecutionView } from "../../../gen/jobmesh/v1/execution.ts";
import type { WatchExecutionsRequest } from "../../../gen/jobmesh/v1/execution_service.ts";
import type { ExecutionId } from "../../common/domain/identifier.ts";
import type { ExecutionFilter } from "../../common/port/store-executions.ts";
import type { EndedPlace } from "../../common/port/store-retention.ts";
import { placeOfToken } from "../feed/resume-token.ts";
import { readExecutionFilter } from "./execution-filter.ts";
import { FieldFaults } from "./field-faults.ts";

/** What a caller watches. */
export type WatchRequest = {
  readonly filter: ExecutionFilter;
  /** Only this one; null for all that the filter matches. */
  readonly executionId: ExecutionId | null;
  /** After this place; null from now on. */
  readonly after: EndedPlace | null;
  readonly full: boolean;
};

const views = {
  [ExecutionView.EXECUTION_VIEW_BASIC]: "BASIC",
  [ExecutionView.EXECUTION_VIEW_FULL]: "FULL",
} as const;

/** Reads a request. Throws INVALID_FIELD with every fault. */
export function readWatchRequest(request: WatchExecutionsRequest): WatchRequest {
  const faults = new FieldFaults();
  const filter = readExecutionFilter(faults, request.filter);
  const executionId = request.executionId === "" ? null : faults.executionId("execution_id", request.executionId);
  const after = request.resumeToken === "" ? null : placeOfToken(request.resumeToken);
  if (request.resumeToken !== "" && after === null) {
    faults.add("resume_token", "must be a resume_token that a list or a watch gave");
  }
  const full = faults.oneOf("view", views, request.view, "BASIC") === "FULL";
  faults.throwIfAny();
  // An identifier names its execution in every namespace: only a namespace that is named is compared.
  const isAnywhere = executionId !== null && (request.filter?.namespace ?? "") === "";
  return { filter: isAnywhere ? { ...filter, namespace: null } : filter, executionId, after, full };
}
