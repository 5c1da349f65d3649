import { createHash } from "node:crypto";
import type { RequestClaim } from "../../common/port/store-executions.ts";
import type { FieldFaults } from "./field-faults.ts";

/** Longest request_id, in characters. */
const MAX_REQUEST_ID_CHARACTERS = 64;

/**
 * Rule 5: what makes a call idempotent. The hash is of the decoded request
 * with its fields and map entries in canonical order, so that two clients
 * that encode the same request differently make the same call.
 *
 * @param toJson makes the request as protobuf JSON; asked only of a call that has a request_id
 * @returns null when the call has no request_id
 */
export function requestClaim(
  method: RequestClaim["method"],
  namespace: string,
  requestId: string,
  toJson: () => unknown,
): RequestClaim | null {
  if (requestId === "") return null;
  const bodyHash = createHash("sha256")
    .update(canonical(withoutId(toJson())))
    .digest("hex");
  return { namespace, method, requestId, bodyHash };
}

/** Checks a request_id; empty means that the call has none. */
export function checkRequestId(faults: FieldFaults, field: string, value: string): void {
  if (value.length > MAX_REQUEST_ID_CHARACTERS || !/^[\x20-\x7e]*$/.test(value)) {
    faults.add(field, `must be at most ${MAX_REQUEST_ID_CHARACTERS} printable ASCII characters`);
  }
}

/** The identifier is no part of the body that it makes idempotent. */
function withoutId(json: unknown): unknown {
  const { requestId: _, ...body } = json as Record<string, unknown>;
  return body;
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    typeof part === "object" && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
