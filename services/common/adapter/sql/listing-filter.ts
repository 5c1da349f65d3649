import type { ExecutionFilter } from "../../port/store-executions.ts";
import { inList } from "./dialect.ts";
import { causeNumber, reasonNumber, stateNumber } from "./execution-row.ts";
import { hasLabel } from "./label-condition.ts";
import type { SqlValue } from "./session.ts";

/** A bound of identifiers. */
export type Bound = { readonly operator: ">=" | "<=" | "<"; readonly id: string };

/** A bound as SQL, whose value is its identifier. */
export function boundText({ operator }: Bound): string {
  return `execution_id ${operator} ?`;
}

/** A filter as SQL. */
export type SqlFilter = {
  readonly conditions: readonly string[];
  readonly values: readonly SqlValue[];
  /** Those of the conditions that an index answers alone, with their values. */
  readonly indexed: readonly string[];
  readonly indexedValues: readonly SqlValue[];
  /** Those of them that are on execution_id alone. */
  readonly bounds: readonly Bound[];
  /** True when there are conditions that few rows of the index may meet. */
  readonly isSelective: boolean;
};

/** First and last identifier of a millisecond. */
const LOWEST_TAIL = "-0000-0000-000000000000";
const HIGHEST_TAIL = "-ffff-ffff-ffffffffffff";

/** SQL of a filter, for what comes after an identifier. */
export function filterOf(filter: ExecutionFilter, afterId: string | null): SqlFilter {
  if (filter.parentExecutionId != null) return NOTHING;
  const ofJob = new Conditions();
  const bounds = boundsOf(filter, afterId);
  const rest = new Conditions();
  // The index (job_id, namespace, execution_id) is in the list's order for one job alone; else the primary key is.
  const byJob = filter.namespace !== null && filter.jobId !== "" ? ofJob : rest;
  if (filter.namespace !== null) byJob.add("namespace = ?", filter.namespace);
  if (filter.jobId !== "") byJob.add("job_id = ?", filter.jobId);
  if (filter.scheduledAfterUs !== null) rest.add("scheduled_us >= ?", filter.scheduledAfterUs);
  if (filter.scheduledBeforeUs !== null) rest.add("scheduled_us < ?", filter.scheduledBeforeUs);
  rest.addIn("state", filter.states.map(stateNumber));
  addReasons(rest, filter);
  rest.addIn("cause", filter.causes.map(causeNumber));
  if (filter.executorId !== "") rest.add("executor_id = ?", filter.executorId);
  if (filter.handlerMethod !== "") rest.add("target_kind = 2 AND target_method = ?", filter.handlerMethod);
  for (const [key, value] of Object.entries(filter.labels)) {
    const { sql, values } = hasLabel(key, value);
    rest.addAll(sql, values);
  }
  const indexed = [...ofJob.conditions, ...bounds.map(boundText)];
  const indexedValues = [...ofJob.values, ...bounds.map(({ id }) => id)];
  return {
    conditions: [...indexed, ...rest.conditions],
    values: [...indexedValues, ...rest.values],
    indexed,
    indexedValues,
    bounds,
    isSelective: rest.conditions.length > 0,
  };
}

function boundsOf({ scheduledAfterUs, scheduledBeforeUs }: ExecutionFilter, afterId: string | null): readonly Bound[] {
  const bounds: Bound[] = [];
  if (scheduledAfterUs !== null) bounds.push({ operator: ">=", id: edge(scheduledAfterUs, LOWEST_TAIL) });
  if (scheduledBeforeUs !== null) bounds.push({ operator: "<=", id: edge(scheduledBeforeUs, HIGHEST_TAIL) });
  if (afterId !== null) bounds.push({ operator: "<", id: afterId });
  return bounds;
}

/** What no execution meets. */
const NOTHING: SqlFilter = {
  conditions: ["execution_id = ''"],
  values: [],
  indexed: ["execution_id = ''"],
  indexedValues: [],
  bounds: [],
  isSelective: false,
};

/** The stored reasons; of what waits for an executor, which has none stored, the route says which reason it has. */
function addReasons(rest: Conditions, { reasons, waiting = null }: ExecutionFilter): void {
  if (reasons.length === 0) return;
  const stored = `state_reason IN (${inList(reasons.length)})`;
  const numbers = reasons.map(reasonNumber);
  // claim_route stands in what is READY and claimable alone.
  if (!reasons.includes("UNSPECIFIED")) {
    const routes = waiting?.matching ?? [];
    const also = routes.length === 0 ? "" : ` OR (state_reason = 0 AND claim_route IN (${inList(routes.length)}))`;
    return rest.addAll(`(${stored}${also})`, [...numbers, ...routes]);
  }
  const routes = waiting?.other ?? [];
  rest.addAll(stored, numbers);
  if (routes.length === 0) return;
  rest.addAll(`(state_reason <> 0 OR claim_route IS NULL OR claim_route NOT IN (${inList(routes.length)}))`, routes);
}

class Conditions {
  readonly conditions: string[] = [];
  readonly values: SqlValue[] = [];

  add(condition: string, value: SqlValue): void {
    this.addAll(condition, [value]);
  }

  addAll(condition: string, values: readonly SqlValue[]): void {
    this.conditions.push(condition);
    this.values.push(...values);
  }

  addIn(column: string, values: readonly number[]): void {
    if (values.length === 0) return;
    this.conditions.push(`${column} IN (${inList(values.length)})`);
    this.values.push(...values);
  }
}

/** An identifier at the edge of the millisecond that a time lies in. Its first 48 bits are that time. */
function edge(timeUs: number, tail: string): string {
  const hex = Math.max(Math.floor(timeUs / 1_000), 0)
    .toString(16)
    .padStart(12, "0");
  const version = tail === LOWEST_TAIL ? "0000" : "ffff";
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${version}${tail.slice(5)}`;
}
