import { type ExecutionState, isFinal } from "../../common/domain/execution.ts";
import type { ExecutionId } from "../../common/domain/identifier.ts";
import type { Store } from "../../common/port/store.ts";
import type { ResultOutcome } from "../../common/port/store-executions.ts";
import type { Hints } from "../hints.ts";
import { measured } from "../measured-calls.ts";

/** Nothing is measured. */
const unmeasured = { nowMs: () => 0, took: () => {} };

/**
 * The store, which tells watchers here of executions that came to another state
 * by a call of this scheduler, their ends aside: at the port, by what each call
 * was answered, so that the loops know nothing of it. Each is read again before
 * anybody is told its state.
 */
export function toldStore(store: Store, hints: Hints): Store {
  const tell = (executionIds: readonly ExecutionId[]): void => {
    if (executionIds.length > 0) hints.tell({ kind: "moved", executionIds });
  };
  const tellOutcomes = (outcomes: readonly ResultOutcome[]): void =>
    tell(outcomes.filter(({ applied, state }) => applied && goesOn(state)).map(({ key }) => key.executionId));
  const executions = measured(store.executions, "executions", () => unmeasured, {
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
  });
  const jobs = measured(store.jobs, "jobs", () => unmeasured, {
    fireAll: (outcomes, fires) =>
      tell(
        fires.flatMap(({ executions: made }, at) =>
          outcomes[at]?.kind === "fired" ? made.map(({ executionId }) => executionId) : [],
        ),
      ),
  });
  return new Proxy(store, {
    get: (target, key) => {
      if (key === "executions") return executions;
      if (key === "jobs") return jobs;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

function goesOn(state: ExecutionState | null): boolean {
  return state !== null && !isFinal(state);
}
