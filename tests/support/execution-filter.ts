import type { ExecutionFilter } from "../../services/common/port/store-executions.ts";

/** Takes every execution; a test spreads it and says what it looks for. */
export const everyExecution: ExecutionFilter = {
  namespace: null,
  jobId: "",
  states: [],
  reasons: [],
  causes: [],
  scheduledAfterUs: null,
  scheduledBeforeUs: null,
  executorId: "",
  handlerMethod: "",
  labels: {},
};
