import { type ExecutionState, isFinal } from "../../common/domain/execution.ts";
import type { ExecutionId } from "../../common/domain/identifier.ts";
import type { ResultOutcome } from "../../common/port/store-executions.ts";
import type { StoreListeners } from "../heard-store.ts";
import type { Hints } from "../hints.ts";

/**
 * Tells watchers here of executions that came to another state by a call of
 * this scheduler, their ends aside: at the store's port, by what each call was
 * answered, so that the loops know nothing of it. Each is read again before
 * anybody is told its state.
 */
export function movedListeners(hints: Hints): StoreListeners {
  const tell = (executionIds: readonly ExecutionId[]): void => {
    if (executionIds.length > 0) hints.tell({ kind: "moved", executionIds });
  };
  const tellOutcomes = (outcomes: readonly ResultOutcome[]): void =>
    tell(outcomes.filter(({ applied, state }) => applied && goesOn(state)).map(({ key }) => key.executionId));
  const executions: StoreListeners["executions"] = {
    submit: (outcomes) =>
      tell(
        outcomes.flatMap((outcome) =>
          outcome.kind === "stored" && goesOn(outcome.execution.state) ? [outcome.execution.executionId] : [],
        ),
      ),
    claim: (claimed) => tell(claimed.map(({ executionId }) => executionId)),
    markStarted: (_done, started) => tell(started.map(({ key }) => key.executionId)),
    makeReady: (ready) => tell(ready.map(({ executionId }) => executionId)),
    storeResults: (outcome) => {
      if (outcome.kind === "stored") tellOutcomes(outcome.results);
    },
    endLost: tellOutcomes,
  };
  const jobs: StoreListeners["jobs"] = {
    fireAll: (outcomes, fires) =>
      tell(
        fires.flatMap(({ executions: made }, at) =>
          outcomes[at]?.kind === "fired" ? made.map(({ executionId }) => executionId) : [],
        ),
      ),
  };
  return { jobs, executions };
}

function goesOn(state: ExecutionState | null): boolean {
  return state !== null && !isFinal(state);
}
