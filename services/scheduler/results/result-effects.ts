import { isFinal } from "../../common/domain/execution.ts";
import type { RouteId } from "../../common/domain/identifier.ts";
import type { ResultOutcome } from "../../common/port/store-executions.ts";
import type { Hints } from "../hints.ts";

/** Tells who waits for an end, who can run the next attempt now, and which timer wakes it later. */
export function tellOutcomes(hints: Hints, outcomes: readonly ResultOutcome[]): void {
  const ready = new Map<RouteId, number>();
  for (const outcome of outcomes) {
    if (!outcome.applied || outcome.state === null) continue;
    if (isFinal(outcome.state)) {
      hints.tell({ kind: "ended", executionId: outcome.key.executionId });
    } else if (outcome.state === "SCHEDULED" && outcome.readyUs !== null) {
      hints.tell({ kind: "due", executionId: outcome.key.executionId, readyUs: outcome.readyUs });
    } else if (outcome.state === "READY" && outcome.routeId !== null) {
      ready.set(outcome.routeId, (ready.get(outcome.routeId) ?? 0) + 1);
    }
  }
  for (const [routeId, count] of ready) hints.tell({ kind: "ready", routeId, bestRank: 0, count });
}
