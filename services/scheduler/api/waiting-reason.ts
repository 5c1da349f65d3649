import type { Execution } from "../../common/domain/execution.ts";
import { type ExecutorRecord, matchesRoute } from "../../common/domain/executor.ts";
import { routeOf } from "../../common/domain/route.ts";
import type { Store } from "../../common/port/store.ts";

/**
 * The execution with the reason why it waits for an executor. Nothing stores
 * that reason, as each heartbeat could change it: it is read from the
 * executors that live now. What waits for its time or at a gate has its own.
 */
export async function explained(store: Store, execution: Execution): Promise<Execution> {
  if (execution.state !== "READY" || execution.stateReason !== "UNSPECIFIED") return execution;
  const route = routeOf(execution);
  const matching = (await store.executors.live()).filter((record) => matchesRoute(record, route));
  if (matching.length === 0) {
    const stateMessage = `no registered executor runs ${execution.target.method || `a ${execution.target.kind}`}${asked(execution)}`;
    return { ...execution, stateReason: "NO_MATCHING_EXECUTOR", stateMessage };
  }
  if (matching.some(hasRoom)) return execution;
  const stateMessage = `no executor that can run it has a free slot; ${matching.length} could run it`;
  return { ...execution, stateReason: "NO_FREE_SLOT", stateMessage };
}

function hasRoom({ draining, freeSlots }: ExecutorRecord): boolean {
  return !draining && freeSlots > 0;
}

function asked({ namespace, policy }: Execution): string {
  const labels = Object.entries(policy.executorLabels).map(([key, value]) => `${key}=${value}`);
  return ` of namespace ${namespace}${labels.length === 0 ? "" : ` with the labels ${labels.join(", ")}`}`;
}
