/**
 * The judges of unique_keys (rule 5) and of the limit on what waits: at each commit who carries a key, and what clients
 * were told of keys and refusals. Their names are those of docs/simulator.md.
 */
import { StateNumber } from "../../services/common/adapter/sql/execution-row.ts";
import { EXECUTION_STATES, type ExecutionState, isFinal } from "../../services/common/domain/execution.ts";
import type { Told } from "./client.ts";
import type { Surroundings } from "./node-parts.ts";
import type { ChangedRow, RowChange } from "./row-changes.ts";
import { promise } from "./verdict.ts";

/** An execution that carries, or carried, a key. */
type Carrier = { readonly key: string; endedMs: number | null };

/** UniqueChecks watches who carries which key. */
export class UniqueChecks {
  readonly #around: Surroundings;
  readonly #told: Told;
  readonly #carriers = new Map<string, Carrier>();

  constructor(around: Surroundings, told: Told) {
    this.#around = around;
    this.#told = told;
  }

  /** A transaction has committed. */
  committed(changes: readonly RowChange[]): void {
    for (const { table, before, after } of changes) {
      if (table === "executions" && after !== null) this.#changed(before, after);
    }
  }

  /** What clients were told of keys. To be asked at any time. */
  checkTold(): void {
    for (const { key, policy, executionId, isOwn, askedMs } of this.#told.keyed) {
      const isRefused = policy === "REJECT";
      promise("a key that is taken is refused", isOwn || !isRefused, () => `${key} was answered with ${executionId}`);
      const { endedMs = null } = this.#carriers.get(executionId) ?? {};
      promise(
        "who has ended answers for no key",
        isOwn || endedMs === null || endedMs >= askedMs,
        () => `${key}, asked for at ${askedMs}, was answered with ${executionId}, which had ended at ${endedMs}`,
      );
    }
  }

  /** What was refused because too much waits has left nothing. */
  checkRefused(): void {
    const rows = this.#around.store.rows("SELECT execution_id, traceparent FROM executions");
    const stored = rows.find(({ traceparent }) => this.#told.refused.has(String(traceparent).slice(3, 35)));
    promise("what is refused is not stored", stored === undefined, () => `${stored?.execution_id} was refused`);
  }

  #changed(before: ChangedRow | null, after: ChangedRow): void {
    const id = String(after.execution_id);
    const isOver = isFinal(EXECUTION_STATES[Number(after.state)] as ExecutionState);
    if (before === null && after.live_unique_key !== null) this.#taken(id, String(after.live_unique_key));
    const carrier = this.#carriers.get(id);
    if (carrier !== undefined && isOver) carrier.endedMs ??= this.#around.timeline.nowMs;
    promise(
      "a key is held until the end",
      before === null || before.live_unique_key === after.live_unique_key || isOver,
      () => `${id} is ${EXECUTION_STATES[Number(after.state)]} without its key`,
    );
    const waited = Number(before?.attempt) === 0 && Number(before?.state) <= StateNumber.READY;
    // A fire that was called back has its job's new target (rule 11), and never a key.
    const isKeyed = before !== null && before.live_unique_key !== null;
    promise(
      "what was tried is not replaced",
      !isKeyed || before.target_summary === after.target_summary || waited,
      () => `${id} has another target after attempt ${before?.attempt}`,
    );
  }

  #taken(id: string, key: string): void {
    for (const [other, carrier] of this.#carriers) {
      promise(
        "a key has one execution",
        carrier.key !== key || carrier.endedMs !== null,
        () => `${id} has the key of ${other}, which has not ended`,
      );
    }
    this.#carriers.set(id, { key, endedMs: null });
  }
}
