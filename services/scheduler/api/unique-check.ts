import { UniquePolicy as PolicyNumber } from "../../../gen/jobmesh/v1/execution.ts";
import { MAX_UNIQUE_KEY_CHARS, type UniqueKey, uniqueKey } from "../../common/domain/unique-key.ts";
import type { FieldFaults } from "./field-faults.ts";

const policies = {
  [PolicyNumber.UNIQUE_POLICY_RETURN_EXISTING]: "RETURN_EXISTING",
  [PolicyNumber.UNIQUE_POLICY_REJECT]: "REJECT",
  [PolicyNumber.UNIQUE_POLICY_REPLACE_WAITING]: "REPLACE_WAITING",
} as const;

/** Reads unique_key and unique_policy; null when there is no key. */
export function readUnique(
  faults: FieldFaults,
  namespace: string,
  message: { readonly uniqueKey: string; readonly uniquePolicy: PolicyNumber },
): UniqueKey | null {
  const key = faults.text("unique_key", message.uniqueKey, MAX_UNIQUE_KEY_CHARS);
  const policy = faults.oneOf("unique_policy", policies, message.uniquePolicy, null);
  if (key === "" && policy !== null) faults.add("unique_policy", "needs a unique_key");
  return key === "" ? null : uniqueKey(namespace, key, policy ?? "RETURN_EXISTING");
}
