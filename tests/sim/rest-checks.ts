/** The judges of output, and of what goes by Kafka, when the mesh has come to rest. */
import type { RestingMesh } from "./last-checks.ts";
import type { Run } from "./record.ts";
import { promise } from "./verdict.ts";

/** What its executor has not confirmed is sent again within two rounds of two beats, and some time on its way. */
const RESEND_MS = 8_000;

/** Rule 35: logs are whole, in order, each line once. */
export function checkOutput(mesh: RestingMesh): void {
  for (const run of mesh.around.record.runs) checkLog(mesh, run);
}

function checkLog({ around, checkers, executors }: RestingMesh, run: Run): void {
  const { executionId: id, attempt, lines } = run;
  const log = checkers.seen.get(id)?.logs.get(attempt);
  const pieces = around.store.rows(
    "SELECT CAST(data AS TEXT) AS line FROM output_pieces WHERE execution_id = ? AND attempt = ? ORDER BY sequence",
    ...[id, attempt],
  );
  const stored = pieces.map(({ line }) => String(line).trimEnd());
  let next = 0;
  for (const line of stored) {
    const at = lines.indexOf(line, next);
    promise("output is in order and once", at >= 0, () => `${id} attempt ${attempt}: ${stored} of ${lines}`);
    next = at + 1;
  }
  // What was written before a process died, or was cut off, may be gone with it.
  const isWhole = log?.returnReason === 0 && (log.status === "SUCCEEDED" || log.status === "FAILED");
  const lives = executors.some(({ process }) => process?.name === run.process);
  const hasAll = stored.length === lines.length;
  promise("logs are whole", !isWhole || !lives || hasAll, () => `${id} attempt ${attempt}: ${stored} of ${lines}`);
}

/** Rule 27: what Kafka has of results is read to its end, whatever it has lost. */
export function unreadPartitions({ around }: RestingMesh): string[] {
  const rows = around.store.rows("SELECT part, next_offset FROM result_offsets ORDER BY part");
  return rows.flatMap(({ part, next_offset: next }) => {
    const { lowOffset, records } = around.kafka.partition(Number(part));
    const end = lowOffset + records.length;
    return end === Number(next) ? [] : [`partition ${part} ends at ${end} and is stored up to ${next}`];
  });
}

/** Rules 19 and 27: results are read, and an order went by Kafka once. */
export function checkKafka(mesh: RestingMesh): void {
  const unread = unreadPartitions(mesh);
  promise("results in Kafka are read to the end", unread.length === 0, () => unread.join("; "));
  for (const [key, times] of mesh.around.kafka.sent) {
    promise("an order goes by Kafka once", times === 1, () => `${key} was sent ${times} times`);
  }
}

/**
 * Rule 19: in a mesh in which nothing is wrong any more nothing waits long for an executor that has a home.
 *
 * @param greetedMs when the session of each incarnation began
 */
export function checkResent({ around, executors }: RestingMesh, greetedMs: ReadonlyMap<string, number>): void {
  const homed = new Set<string>();
  for (const { executor } of executors) if (executor?.status.homed === true) homed.add(executor.status.incarnation);
  const dispatched = around.store.rows(
    "SELECT execution_id, attempt, dispatch_us, incarnation FROM executions WHERE state = 3 AND stop_reason = 0",
  );
  for (const { execution_id: id, attempt, dispatch_us: dispatchUs, incarnation } of dispatched) {
    if (!homed.has(String(incarnation))) continue;
    const sessionMs = around.timeline.nowMs - (greetedMs.get(String(incarnation)) ?? around.timeline.nowMs);
    const waitedMs = Math.min((around.store.nowUs() - Number(dispatchUs)) / 1_000, sessionMs);
    const hasRun = around.record.of(String(id)).some((run) => run.attempt === attempt);
    promise(
      "lost orders are sent again",
      hasRun || waitedMs < RESEND_MS,
      () => `${id} ${attempt} waits ${waitedMs} ms`,
    );
  }
}
