/** Submissions under a unique_key, for the contract suites of rule 5. */
import assert from "node:assert/strict";
import type { Execution, NewExecution } from "../../services/common/domain/execution.ts";
import { type UniquePolicy, uniqueKey } from "../../services/common/domain/unique-key.ts";
import type { RequestClaim, SubmitOutcome } from "../../services/common/port/store-executions.ts";
import { newExecution, type StoreSetup, submission } from "./execution-store.ts";

/** What is not as newExecution has it, and how the key is meant; RETURN_EXISTING when it is left out. */
export type GivenUnique = Partial<NewExecution> & {
  readonly policyOfKey?: UniquePolicy;
  readonly request?: RequestClaim | null;
};

/** Submits one under a key. */
export async function submitUnique(
  { store }: StoreSetup,
  key: string,
  given: GivenUnique = {},
): Promise<SubmitOutcome> {
  const { policyOfKey: policy = "RETURN_EXISTING", request = null, ...more } = given;
  const execution = newExecution(more);
  const unique = uniqueKey(execution.namespace, key, policy);
  const [outcome] = await store.submit([submission(execution, { request, unique })]);
  return outcome ?? assert.fail("each submission has an outcome");
}

/** The execution of an outcome that is stored. */
export function storedOf(outcome: SubmitOutcome): Execution {
  assert.equal(outcome.kind, "stored");
  return outcome.kind === "stored" ? outcome.execution : assert.fail();
}

/** Executions that are stored. */
export async function countStored(setup: StoreSetup): Promise<number> {
  const [row] = await setup.rows("SELECT COUNT(*) AS found FROM executions");
  return Number(row?.found);
}
