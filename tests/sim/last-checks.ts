/** The judges that look when the mesh has come to rest: what clients were told, history, and that everything was let go of. */

import { StateNumber } from "../../services/common/adapter/sql/execution-row.ts";
import { CAUSES, isFinal } from "../../services/common/domain/execution.ts";
import { checkInvariants } from "../support/store-invariants.ts";
import type { Checkers } from "./checkers.ts";
import type { Told } from "./client.ts";
import type { ExecutorNode } from "./executor-node.ts";
import type { Surroundings } from "./node-parts.ts";
import { Broken, promise } from "./verdict.ts";

/** A fire that is later than this by the store's clock, long after the last fault, is nobody's. */
const OVERDUE_US = 4_000_000;

/** An executor has left so long after its grace: what it cuts off has ended, and its results are stored. */
const LEAVING_US = 30_000_000;

/** What the last judges look at. */
export type RestingMesh = {
  readonly around: Surroundings;
  readonly told: Told;
  readonly checkers: Checkers;
  readonly executors: readonly ExecutorNode[];
};

/** What clients were told still holds. To be asked at any time. */
export function checkTold({ around, told, checkers }: RestingMesh): void {
  for (const [requestId, ids] of told.requests) {
    promise(
      "a request_id has one execution",
      ids.size === 1,
      () => `${requestId} was answered with ${[...ids].join(" and ")}`,
    );
  }
  for (const [requestId, bodies] of told.bodies) {
    promise(
      "a request_id has one body",
      bodies.size === 1,
      () => `${requestId} was taken with ${[...bodies].join(" and ")}`,
    );
  }
  for (const [id, states] of told.finals) {
    const state = checkers.seen.get(id)?.state;
    promise(
      "what clients were told stands",
      states.size === 1 && states.has(String(state)),
      () => `${id} was told to be ${[...states].join(" and ")}, and is ${state}`,
    );
  }
  for (const { executionId } of told.acknowledged.values()) {
    promise(
      "nothing acknowledged is lost",
      checkers.seen.has(executionId),
      () => `${executionId} was acknowledged at ${around.timeline.nowMs}`,
    );
  }
}

/** Rows agree with one another. To be asked at any time. */
export async function checkRows({ around }: RestingMesh, ended: Map<unknown, string>): Promise<void> {
  const query = async (sql: string) => around.store.rows(sql);
  try {
    await checkInvariants({ query } as unknown as Parameters<typeof checkInvariants>[0], ended);
  } catch (error) {
    throw new Broken("rows agree with one another", error instanceof Error ? error.message : String(error));
  }
}

/** Rule 10: a job counts what its schedule made and did not skip. To be asked at any time. */
export function checkFireCounts({ around }: RestingMesh): void {
  const wrong = around.store.rows(
    `SELECT j.job_id, j.fire_count, COUNT(e.execution_id) AS made, j.schedule FROM jobs j
      LEFT JOIN executions e ON e.job_uid = j.job_uid AND e.cause = ${CAUSES.indexOf("SCHEDULE")}
        AND e.state <> ${StateNumber.SKIPPED}
      GROUP BY j.job_uid HAVING made <> j.fire_count OR (made > j.schedule ->> 'maxFires' AND j.schedule ->> 'maxFires' > 0)`,
  );
  promise("fires are counted", wrong.length === 0, () => JSON.stringify(wrong[0]));
}

/** Identifiers of executions that have not ended. */
export function unended({ checkers }: RestingMesh): string[] {
  return [...checkers.seen].flatMap(([id, { state }]) => (isFinal(state) ? [] : [id]));
}

/** No schedule stands still: somebody makes the fires of those whose owner does nothing. */
export function checkFires({ around }: RestingMesh): void {
  const { store } = around;
  const late = store.rows(
    "SELECT job_id, next_fire_us FROM jobs WHERE paused = 0 AND next_fire_us < ?",
    store.nowUs() - OVERDUE_US,
  );
  promise(
    "schedules go on",
    late.length === 0,
    () => `fires of ${late.map((row) => row.job_id).join(" and ")} are overdue`,
  );
}

/** Everything has ended. */
export function checkEnded(mesh: RestingMesh, afterMs: number): void {
  const left = unended(mesh);
  promise("everything ends", left.length === 0, () => {
    const shown = left.slice(0, 3).map((id) => `${id} is ${mesh.checkers.seen.get(id)?.state}`);
    return `${left.length} have not ended ${afterMs} ms after the last fault: ${shown.join(", ")}`;
  });
}

/** History is whole and in order, and says what really happened. */
export function checkHistory({ around, checkers }: RestingMesh): void {
  for (const [id, { attempt, logs, state }] of checkers.seen) {
    for (let number = 1; number <= attempt; number++) {
      promise("history is complete", logs.has(number), () => `${id} has no attempt ${number} of ${attempt}`);
    }
    const runs = around.record.of(id);
    for (const run of runs) {
      promise(
        "history is complete",
        logs.has(run.attempt),
        () => `${id} attempt ${run.attempt} ran and is not in history`,
      );
    }
    const last = logs.get(attempt)?.status;
    if (state === "SUCCEEDED")
      promise("history says what happened", last === "SUCCEEDED", () => `${id} SUCCEEDED; its last attempt is ${last}`);
    const dones = runs.filter(
      ({ attempt: number, how }) => how === "succeeded" && logs.get(number)?.status === "SUCCEEDED",
    );
    promise("history says what happened", dones.length <= 1, () => `${id} succeeded ${dones.length} times`);
  }
  const disorder = around.store.rows(
    `SELECT a.execution_id FROM job_logs a JOIN job_logs b ON b.execution_id = a.execution_id AND b.attempt = a.attempt + 1
      WHERE b.dispatch_us < a.dispatch_us`,
  );
  promise("history is in order", disorder.length === 0, () => `${disorder[0]?.execution_id}`);
}

/** Gates, slots and kept results are back to nothing. */
export function checkLetGo({ around, executors }: RestingMesh): void {
  const gates = around.store.rows("SELECT gate_key, held, waiting FROM gates WHERE held <> 0 OR waiting <> 0");
  promise("gates are back to zero", gates.length === 0, () => JSON.stringify(gates));
  for (const { executor, name } of executors) {
    if (executor === null) continue;
    const { heldSlots, running, keptResults } = executor.status;
    promise(
      "slots are back to zero",
      heldSlots === 0 && running === 0,
      () => `${name} holds ${heldSlots} slots for ${running} attempts`,
    );
    promise("kept results are let go", keptResults === 0, () => `${name} keeps ${keptResults} results`);
  }
}

/** What was asked to leave has left, or was lost. */
export function checkDrained({ around }: RestingMesh): void {
  const [still] = around.store.rows(
    "SELECT executor_id, drain_us FROM executors WHERE lost_us IS NULL AND left_us IS NULL AND drain_us < ?",
    around.store.nowUs() - LEAVING_US,
  );
  promise("what drains leaves", still === undefined, () => `${still?.executor_id} was to leave by ${still?.drain_us}`);
}

/** Each execution is one trace: every span's parent is there, or was the caller's. */
export function checkTraces({ around, told }: RestingMesh): void {
  const { spans } = around.tracing;
  const known = new Set(spans.map(({ spanId }) => spanId));
  const traces = new Map(
    around.store
      .rows("SELECT execution_id, traceparent FROM executions")
      .map((row) => [String(row.execution_id), String(row.traceparent).slice(3, 35)]),
  );
  for (const { executionId, traceId, requestKey } of told.acknowledged.values()) {
    // A repeat by request_id has the trace of the call that made it.
    if (requestKey !== null) continue;
    promise(
      "traces are whole",
      traces.get(executionId) === traceId,
      () => `${executionId} was submitted in another trace`,
    );
  }
  const runs = new Set<string>();
  for (const { name, traceId, parentId, attributes } of spans) {
    const id = attributes["jobmesh.execution_id"];
    if (typeof id !== "string" || !traces.has(id)) continue;
    // Two schedulers may plan the same fire; the trace of the one that was too late ends with its first span.
    if (name === "jobmesh.fire" && traces.get(id) !== traceId) continue;
    promise("traces are whole", traces.get(id) === traceId, () => `${name} of ${id} is in another trace`);
    if (name === "jobmesh.run") runs.add(`${id} ${attributes["jobmesh.attempt"]}`);
    const isRoot = parentId === null || known.has(parentId) || name === "jobmesh.submit" || name === "jobmesh.fire";
    promise("traces are whole", isRoot, () => `${name} of ${id} hangs from nothing`);
  }
  for (const run of around.record.runs) {
    promise(
      "traces are whole",
      runs.has(`${run.executionId} ${run.attempt}`),
      () => `${run.executionId} attempt ${run.attempt} ran without a span`,
    );
  }
}
