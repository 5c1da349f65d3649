import type { Execution, StateReason } from "../../common/domain/execution.ts";
import { type ExecutorRecord, matchesRoute } from "../../common/domain/executor.ts";
import type { ExecutionId, RouteId } from "../../common/domain/identifier.ts";
import { parseRoute, type Route, routeOf, TO_BE_PINNED, withoutPin } from "../../common/domain/route.ts";
import { JobmeshError } from "../../common/error/jobmesh-error.ts";
import type { Store } from "../../common/port/store.ts";
import type { ExecutionFilter } from "../../common/port/store-executions.ts";

/**
 * Why an execution waits for an executor. Nothing stores that reason, as each
 * heartbeat could change it: it is read from the executors that live now, which
 * is one query for a whole page. What waits for its time or at a gate has its
 * own reason. A filter by these reasons asks for the routes that have work
 * waiting, and what each of them waits for: what waits on a route waits for the
 * same.
 */

/** Routes with waiting work that a filter tells apart; of more it refuses. */
const MAX_FILTER_ROUTES = 5_000;
/** Reasons that a filter can ask for and that what waits for an executor may have. */
const WAITING_REASONS: readonly StateReason[] = ["NO_MATCHING_EXECUTOR", "NO_FREE_SLOT", "UNSPECIFIED"];

/** The executions, each with the reason why it waits for an executor, if it does. */
export async function explainedPage(store: Store, executions: readonly Execution[]): Promise<readonly Execution[]> {
  const waiting = executions.filter(waits);
  if (waiting.length === 0) return executions;
  const pins = await pinnedRoutes(store, waiting);
  const routeIdOf = ({ executionId, routeId }: Execution): RouteId => pins.get(executionId) ?? routeId;
  const ids = new Set(waiting.map(routeIdOf));
  const [texts, records] = await Promise.all([store.routes.texts([...ids]), store.executors.live()]);
  const matching = new Map<RouteId, readonly ExecutorRecord[]>();
  return executions.map((execution) => {
    if (!waits(execution)) return execution;
    const routeId = routeIdOf(execution);
    const text = texts.get(routeId);
    const route = text === undefined ? routeOf(execution) : parseRoute(text);
    const found = matching.get(routeId) ?? matchingOf(records, route);
    matching.set(routeId, found);
    return explained(found, execution, route.pin);
  });
}

/** Where what is pinned waits (rule 32): its own route names nobody. */
async function pinnedRoutes(store: Store, waiting: readonly Execution[]): Promise<ReadonlyMap<ExecutionId, RouteId>> {
  const ids = waiting.filter(({ policy }) => policy.routingStrategy === "ROUND_ROBIN").map((one) => one.executionId);
  return ids.length === 0 ? new Map() : await store.executions.claimRoutes(ids);
}

/** Until it is pinned, to any that matches. */
function matchingOf(records: readonly ExecutorRecord[], route: Route): readonly ExecutorRecord[] {
  const asked = route.pin === TO_BE_PINNED ? withoutPin(route) : route;
  return records.filter((record) => matchesRoute(record, asked));
}

/**
 * The filter with the routes on which work waits for its reasons. Throws
 * OVERLOADED when work waits on more routes than can be told apart.
 */
export async function withWaitingReasons(store: Store, filter: ExecutionFilter): Promise<ExecutionFilter> {
  const { reasons } = filter;
  if (!reasons.some((reason) => WAITING_REASONS.includes(reason))) return filter;
  const ids = (await store.executions.waitingRoutes()).map(({ routeId }) => routeId);
  if (ids.length > MAX_FILTER_ROUTES) {
    throw new JobmeshError("OVERLOADED", {
      message: `work waits on ${ids.length} routes; filter.reasons tells ${MAX_FILTER_ROUTES} apart`,
      retryDelayMs: 10_000,
    });
  }
  const [texts, records] = await Promise.all([store.routes.texts(ids), store.executors.live()]);
  const matching: RouteId[] = [];
  const other: RouteId[] = [];
  for (const [routeId, text] of texts) {
    const route = parseRoute(text);
    const isWanted = reasons.includes(waitingReason(matchingOf(records, route)));
    (isWanted ? matching : other).push(routeId);
  }
  return { ...filter, waiting: { matching, other } };
}

/** READY, at no gate: it waits for nothing but an executor. */
function waits({ state, stateReason }: Execution): boolean {
  return state === "READY" && stateReason === "UNSPECIFIED";
}

/** Why work waits that these executors could run. */
function waitingReason(matching: readonly ExecutorRecord[]): StateReason {
  if (matching.length === 0) return "NO_MATCHING_EXECUTOR";
  return matching.some(hasRoom) ? "UNSPECIFIED" : "NO_FREE_SLOT";
}

function explained(
  matching: readonly ExecutorRecord[],
  execution: Execution,
  pin: ExecutorRecord["executorId"] | null,
): Execution {
  const stateReason = waitingReason(matching);
  if (stateReason === "UNSPECIFIED") return execution;
  const runs = execution.target.method || `a ${execution.target.kind}`;
  const stateMessage =
    stateReason === "NO_MATCHING_EXECUTOR"
      ? `no registered executor runs ${runs}${asked(execution)}`
      : pin !== null && pin !== TO_BE_PINNED
        ? `executor ${pin}, whose turn it is, has no free slot`
        : `no executor that can run it has a free slot; ${matching.length} could run it`;
  return { ...execution, stateReason, stateMessage };
}

function hasRoom({ draining, freeSlots }: ExecutorRecord): boolean {
  return !draining && freeSlots > 0;
}

function asked({ namespace, policy }: Execution): string {
  const labels = Object.entries(policy.executorLabels).map(([key, value]) => `${key}=${value}`);
  return ` of namespace ${namespace}${labels.length === 0 ? "" : ` with the labels ${labels.join(", ")}`}`;
}
