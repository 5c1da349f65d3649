import type { Table } from "./column.ts";
import { executionLabels } from "./execution-labels.ts";
import { executions } from "./executions.ts";
import { executors } from "./executors.ts";
import { gates } from "./gates.ts";
import { jobLogs } from "./job-logs.ts";
import { jobRevisions, jobs } from "./jobs.ts";
import {
  descriptorMethods,
  descriptors,
  feeds,
  mesh,
  namespaceMethods,
  pinTurns,
  resultOffsets,
  routes,
} from "./mesh.ts";
import { outputPieces } from "./output-pieces.ts";
import { requests } from "./requests.ts";
import { unsuccessfulEnds } from "./unsuccessful-ends.ts";

/** All tables of a store. */
export const tables: readonly Table[] = [
  jobs,
  jobRevisions,
  executions,
  executionLabels,
  unsuccessfulEnds,
  jobLogs,
  executors,
  gates,
  routes,
  pinTurns,
  requests,
  resultOffsets,
  outputPieces,
  descriptors,
  descriptorMethods,
  namespaceMethods,
  feeds,
  mesh,
];
