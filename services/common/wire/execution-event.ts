import { ExecutionEvent } from "../../../gen/jobmesh/v1/event.ts";
import type { ExecutionChange } from "../port/bus.ts";
import { executionToMessage } from "./execution.ts";
import { timestampOfUs } from "./time.ts";

/** Serializes a change for a record of execution.v1: the execution as BASIC shows it. */
export function encodeExecutionChange({ execution, timeUs }: ExecutionChange): Uint8Array {
  const event = { execution: executionToMessage(execution, false), time: timestampOfUs(timeUs) };
  return ExecutionEvent.encode(event).finish();
}
