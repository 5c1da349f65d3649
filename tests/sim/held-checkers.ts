/**
 * Judges of fires that are sent ahead of their time (rule 11): when they start, what an answered change of their job has
 * called back, what that runs instead, and that nothing which waits stands back for them.
 */
import { reasonNumber, StateNumber, stopReasonNumber } from "../../services/common/adapter/sql/execution-row.ts";
import { holdUntilUs } from "../../services/common/domain/held-fire.ts";
import type { Told } from "./client.ts";
import type { ExecutorNode } from "./executor-node.ts";
import { meshErrorMs } from "./mesh-time-check.ts";
import type { Surroundings } from "./node-parts.ts";
import type { RecordEvents, Run } from "./record.ts";
import type { ChangedRow, RowChange } from "./row-changes.ts";
import { promise } from "./verdict.ts";

/** Whole milliseconds of timers, and microseconds that are rounded. */
const ROUNDING_MS = 1;

const CALL_BACKS = [stopReasonNumber("PAUSED"), stopReasonNumber("SUPERSEDED")];
const CANCEL = stopReasonNumber("CANCEL");
const JOB_CHANGES: ReadonlySet<string> = new Set(["job.pause", "job.update", "job.delete"]);
const PAUSED = reasonNumber("PAUSED");
const SUPERSEDED = reasonNumber("SUPERSEDED");

type Held = { readonly attempt: number; readonly untilUs: number };
type CalledBack = { readonly attempt: number; readonly jobId: string; readonly atMs: number };

/** HeldCheckers watch a run. */
export class HeldCheckers implements RecordEvents {
  readonly #around: Surroundings;
  readonly #told: Told;
  readonly #nodeOf: (name: string) => ExecutorNode | undefined;
  readonly #held = new Map<string, Held>();
  readonly #calledBack = new Map<string, CalledBack>();
  readonly #onHeld: (jobId: string, executionId: string) => void;
  /** Revisions of fires that came back SUPERSEDED. */
  readonly #superseded = new Map<string, number>();

  /** @param onHeld hears of each fire that is sent ahead of its time */
  constructor(
    around: Surroundings,
    told: Told,
    nodeOf: (name: string) => ExecutorNode | undefined,
    onHeld: (jobId: string, executionId: string) => void,
  ) {
    this.#around = around;
    this.#told = told;
    this.#nodeOf = nodeOf;
    this.#onHeld = onHeld;
  }

  committed(name: string, changes: readonly RowChange[]): void {
    for (const { table, before, after } of changes) {
      if (table === "jobs" && JOB_CHANGES.has(name)) this.#jobChanged(String((after ?? before)?.job_uid));
      if (table !== "executions" || after === null) continue;
      if (name === "release_held") this.#released(before, after);
      this.#dispatched(name, before, after);
      this.#stopped(before, after);
      if (name !== "request_stop") this.#notCancelled(before, after);
      this.#renewed(before, after);
    }
  }

  started({ executionId, attempt, node, askedErrorMs = 0 }: Run): void {
    const held = this.#held.get(executionId);
    if (held?.attempt === attempt) {
      const storeUs = this.#around.store.nowUs();
      const earlyMs = (held.untilUs - storeUs) / 1_000;
      promise(
        "no held fire before its time",
        earlyMs <= Math.max(askedErrorMs, meshErrorMs(this.#nodeOf(node), storeUs)) + ROUNDING_MS,
        () => `${executionId} attempt ${attempt} starts ${earlyMs} ms before the time it is held for`,
      );
    }
    const called = this.#calledBack.get(executionId);
    if (called?.attempt !== attempt) return;
    const answer = this.#told.changes.find(
      ({ jobId, beganMs, answeredMs }) => jobId === called.jobId && beganMs <= called.atMs && called.atMs <= answeredMs,
    );
    promise(
      "no start after an answered change",
      answer === undefined || answer.unstopped.has(executionId),
      () => `${executionId} starts; the change that called it back was answered at ${answer?.answeredMs}`,
    );
  }

  ended(): void {}

  #dispatched(name: string, before: ChangedRow | null, after: ChangedRow): void {
    if (Number(after.state) !== StateNumber.DISPATCHED || before?.attempt === after.attempt) return;
    const id = String(after.execution_id);
    const times = { readyUs: Number(after.ready_us), dispatchUs: Number(after.dispatch_us) };
    const untilUs = holdUntilUs(times);
    if (untilUs === null) this.#held.delete(id);
    else this.#held.set(id, { attempt: Number(after.attempt), untilUs });
    if (name !== "fire" || untilUs === null) return;
    this.#onHeld(String(after.job_id), id);
  }

  #stopped(before: ChangedRow | null, after: ChangedRow): void {
    const isCalled = CALL_BACKS.includes(Number(after.stop_reason)) && Number(after.state) === StateNumber.DISPATCHED;
    if (!isCalled || before?.stop_reason === after.stop_reason) return;
    this.#calledBack.set(String(after.execution_id), {
      attempt: Number(after.attempt),
      jobId: String(after.job_id),
      atMs: this.#around.timeline.nowMs,
    });
  }

  /** Nobody but a caller ends what is held for its time. */
  #notCancelled(before: ChangedRow | null, after: ChangedRow): void {
    const isCancelled = Number(after.stop_reason) === CANCEL && Number(before?.stop_reason) !== CANCEL;
    const held = this.#held.get(String(after.execution_id));
    const isHeld = held?.attempt === after.attempt && (held?.untilUs ?? 0) > this.#around.store.nowUs();
    promise(
      "what is held is called back and not cancelled",
      !isCancelled || !isHeld,
      () => `${after.execution_id} is cancelled before its time`,
    );
  }

  /** What a pause has called back does not come again. */
  #released(before: ChangedRow | null, after: ChangedRow): void {
    const wasPaused = Number(before?.state) === StateNumber.SCHEDULED && Number(before?.state_reason) === PAUSED;
    promise(
      "what a pause called back is skipped",
      !wasPaused || Number(after.state) === StateNumber.SKIPPED || Number(after.state) === StateNumber.CANCELLED,
      () => `${after.execution_id} goes on as ${after.state}`,
    );
  }

  /** Who changes a job calls back what it holds, in the same transaction. */
  #jobChanged(jobUid: string): void {
    const [left] = this.#around.store.rows(
      `SELECT execution_id FROM executions WHERE job_uid = ? AND state = ${StateNumber.DISPATCHED} AND stop_reason = 0
        AND ready_us > dispatch_us AND ready_us > ?`,
      jobUid,
      this.#around.store.nowUs(),
    );
    promise("a change calls back what is held", left === undefined, () => `${left?.execution_id} is held on`);
  }

  /** What was superseded becomes ready as its job is, or never. */
  #renewed(before: ChangedRow | null, after: ChangedRow): void {
    const id = String(after.execution_id);
    const isBack = Number(after.state) === StateNumber.SCHEDULED && Number(after.state_reason) === SUPERSEDED;
    // Called back by an earlier execution of the job, and not by a change, it has that revision already.
    const [job] = isBack
      ? this.#around.store.rows("SELECT revision FROM jobs WHERE job_uid = ?", String(after.job_uid))
      : [];
    if (isBack && before?.state_reason !== after.state_reason)
      this.#superseded.set(id, Number(job?.revision ?? Number(after.job_revision) + 1));
    const revision = this.#superseded.get(id);
    if (revision === undefined || Number(after.state) !== StateNumber.READY) return;
    this.#superseded.delete(id);
    const [other] = this.#around.store.rows(
      `SELECT 1 FROM executions e JOIN jobs j ON j.job_uid = e.job_uid AND j.revision = e.job_revision
        WHERE e.execution_id = ? AND (j.target <> e.target OR j.target_kind <> e.target_kind)`,
      id,
    );
    promise(
      "what was superseded runs as its job is",
      Number(after.job_revision) >= revision && other === undefined,
      () => `${id} came back when its job was at revision ${revision}, and is ready with that of ${after.job_revision}`,
    );
  }
}
