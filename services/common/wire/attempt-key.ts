import type { AttemptKey as AttemptKeyMessage } from "../../../gen/jobmesh/v1/execution.ts";
import { type AttemptKey, type ExecutionId, type Fence, IDENTIFIER_PATTERN } from "../domain/identifier.ts";

/** A key for the wire. The message has the same fields, so nothing is copied. */
export function keyToMessage(key: AttemptKey): AttemptKeyMessage {
  return key;
}

/** Reads a key. Throws TypeError when it names no attempt. */
export function keyFromMessage(message: AttemptKeyMessage | undefined): AttemptKey {
  if (message === undefined) throw new TypeError("key: is not set");
  const { executionId, attempt, fence } = message;
  if (executionId === "") throw new TypeError("key.execution_id: is empty");
  // The store is asked for it; MySQL refuses to compare an identifier with other characters.
  if (!IDENTIFIER_PATTERN.test(executionId)) throw new TypeError("key.execution_id: is no identifier");
  if (attempt < 1) throw new TypeError(`key.attempt: is ${attempt}, attempts count from 1`);
  if (fence === 0n) throw new TypeError("key.fence: is 0, which names no claim");
  return { executionId: executionId as ExecutionId, attempt, fence: fence as Fence };
}
