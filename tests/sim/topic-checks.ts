/** What stands in execution.v1, as the judges see it (rule 34). */
import { isFinal } from "../../services/common/domain/execution.ts";
import { stateOfNumber } from "../../services/common/wire/execution.ts";
import type { EventRecord } from "./execution-topic.ts";
import type { RestingMesh } from "./last-checks.ts";
import { promise } from "./verdict.ts";

/** Executions that have ended and whose end is not in the topic. */
export function unwritten({ around, checkers }: RestingMesh): string[] {
  const { isOpen, records } = around.kafka.executions;
  if (!isOpen) return [];
  const written = new Set(records.map((record) => `${record.key} ${stateOf(record)}`));
  return [...checkers.seen].flatMap(([id, { state }]) =>
    isFinal(state) && !written.has(`${id} ${state}`) ? [id] : [],
  );
}

/** Every final state stands in the topic at least once, and no other one as final. */
export function checkWritten(mesh: RestingMesh): void {
  const left = unwritten(mesh);
  promise("every final state stands in the topic", left.length === 0, () => {
    const shown = left.slice(0, 3).map((id) => `${id} is ${mesh.checkers.seen.get(id)?.state}`);
    return `${left.length} are not written: ${shown.join(", ")}`;
  });
  for (const record of mesh.around.kafka.executions.records) {
    const { key, event } = record;
    const { execution, time } = event;
    const state = stateOf(record);
    const stands = mesh.checkers.seen.get(key)?.state;
    const isTrue = state !== null && (!isFinal(state) || state === stands);
    promise("the topic says what stands", isTrue, () => `${key} is ${stands}, and ${state} was written`);
    const isWhole = execution?.executionId === key && time !== undefined && execution.result.length === 0;
    promise("the topic says what stands", isWhole, () => `the record of ${key} is of ${execution?.executionId}`);
  }
}

function stateOf({ event }: EventRecord) {
  return event.execution === undefined ? null : stateOfNumber(event.execution.state);
}
