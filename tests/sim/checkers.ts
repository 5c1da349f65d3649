/**
 * The judges that look at every step: each commit of the store, row by row, and
 * each start and end of what really runs. A checker has a name, which its
 * verdict and docs/simulator.md call it by.
 */

import { parsePolicy } from "../../services/common/adapter/sql/execution-text.ts";
import { EXECUTION_STATES, type ExecutionState, isFinal, TRANSITIONS } from "../../services/common/domain/execution.ts";
import type { ExecutionPolicy } from "../../services/common/domain/policy.ts";
import type { Told } from "./client.ts";
import { checkCommit, checkKnown, checkMove, checkUnstorable } from "./commit-checks.ts";
import { checkFilled } from "./executor-checkers.ts";
import type { ExecutorNode } from "./executor-node.ts";
import { mayStartLateMs } from "./mesh-time-check.ts";
import type { Surroundings } from "./node-parts.ts";
import type { RecordEvents, Run } from "./record.ts";
import type { ChangedRow, RowChange } from "./row-changes.ts";
import { promise } from "./verdict.ts";
import { MISSED_MS } from "./world.ts";

/** Clocks of machines, and what they know of mesh time, differ by less than this where nothing is wrong. */
const CLOCK_TOLERANCE_MS = 400;

const FOR_EVER = Number.POSITIVE_INFINITY;

/** What an attempt may end as although its target did its work: nobody knew of it, or it came too late. */
const DONE_IN_VAIN: ReadonlySet<ExecutionState> = new Set(["LOST", "TIMED_OUT"]);

/** A process that stood still has ended what it may no longer run within this of going on, milliseconds. */
const COMING_TO_MS = 1_000;

/** An attempt's row, as the judges remember it. */
export type LoggedAttempt = {
  readonly status: ExecutionState;
  readonly returnReason: number;
  readonly incarnation: string;
  readonly endUs: number;
};

/** What the judges know of an execution. */
export type SeenExecution = {
  state: ExecutionState;
  attempt: number;
  policy: ExecutionPolicy;
  /** When its next attempt may start, by the store's clock; 0 for at once. */
  notBeforeUs: number;
  /** When its current attempt must have started, by the store's clock; infinite for no limit. */
  notAfterUs: number;
  readonly logs: Map<number, LoggedAttempt>;
};

/** Checkers watch a run. */
export class Checkers implements RecordEvents {
  readonly seen = new Map<string, SeenExecution>();
  readonly #around: Surroundings;
  readonly #told: Told;
  readonly #nodeOf: (name: string) => ExecutorNode | undefined;
  readonly #nominal = new Map<string, string>();
  readonly #lost = new Set<string>();
  readonly #running = new Set<Run>();

  /** @param nodeOf finds an executor's node by its name. */
  constructor(around: Surroundings, told: Told, nodeOf: (name: string) => ExecutorNode | undefined) {
    this.#around = around;
    this.#told = told;
    this.#nodeOf = nodeOf;
  }

  /** A transaction has committed. */
  committed(name: string, changes: readonly RowChange[]): void {
    const moves = changes.filter(({ table }) => table === "jobs");
    for (const change of changes) if (change.table === "executors") this.#executor(change);
    for (const change of changes) if (change.table === "job_logs") this.#attempt(change);
    for (const change of changes) if (change.table === "executions") this.#execution(change);
    for (const move of moves) if (name === "fire") checkMove(this.#around.store, move, changes, this.#nominal);
    checkCommit(this.#around.store, name, changes, MISSED_MS);
  }

  started(run: Run): void {
    const { executionId, attempt, node } = run;
    const seen = this.seen.get(executionId);
    promise("what runs is stored", seen !== undefined, () => `${executionId} runs and is not in the store`);
    const earlier = this.#around.record.of(executionId);
    const twin = earlier.find((other) => other.attempt === attempt);
    promise(
      "once under a key",
      twin === undefined,
      () => `${executionId} attempt ${attempt} runs at ${node}, and ran at ${twin?.node}`,
    );
    const { labels = {} } = this.#nodeOf(node)?.setup.config ?? {};
    promise(
      "runs where its labels allow",
      Object.entries(seen.policy.executorLabels).every(([name, value]) => labels[name] === value),
      () => `${executionId} runs at ${node}, which has ${JSON.stringify(labels)}`,
    );
    checkFilled(run);
    this.#alone(run, earlier);
    this.#follows(run, earlier, seen);
    const cancel = this.#told.cancelled.get(executionId);
    promise(
      "no start after an answered cancel",
      cancel === undefined,
      () => `${executionId} starts; its cancel was answered ${cancel?.state} at ${cancel?.atMs}`,
    );
    const storeUs = this.#around.store.nowUs();
    const earlyMs = (seen.notBeforeUs - storeUs) / 1_000;
    promise(
      "no start before its time",
      earlyMs < CLOCK_TOLERANCE_MS,
      () => `${executionId} attempt ${attempt} starts ${earlyMs} ms early`,
    );
    const lateMs = attempt === seen.attempt ? (storeUs - seen.notAfterUs) / 1_000 : 0;
    promise(
      "no start after its deadline",
      lateMs < CLOCK_TOLERANCE_MS + mayStartLateMs(this.#nodeOf(node), run, storeUs),
      () => `${executionId} attempt ${attempt} starts ${lateMs} ms after its start deadline`,
    );
    this.#running.add(run);
    const own = [...this.#running].filter((other) => other.process === run.process).length;
    const slots = this.#nodeOf(node)?.slots ?? 0;
    promise("at most slots at once", own <= slots, () => `${run.process} runs ${own} with ${slots} slots`);
  }

  ended(run: Run): void {
    this.#running.delete(run);
  }

  /** Nobody may run an execution while another of its attempts runs, but where a process stood still meanwhile. */
  #alone(run: Run, earlier: readonly Run[]): void {
    const beside = earlier.find((other) => other.endMs === null && !this.#stoodStill(other));
    promise(
      "never beside another attempt",
      beside === undefined,
      () =>
        `${run.executionId} attempt ${run.attempt} starts at ${run.node} while ${beside?.attempt} runs at ${beside?.node}`,
    );
  }

  /** A paused process cannot end its work in time; what it does in its first moments after that is excused. */
  #stoodStill(run: Run): boolean {
    if (run.kind === "command") return false;
    const process = this.#nodeOf(run.node)?.process;
    if (process === undefined || process === null || process.name !== run.process) return false;
    return process.isPaused || this.#around.timeline.nowMs - process.resumedMs < COMING_TO_MS;
  }

  #follows(run: Run, earlier: readonly Run[], seen: SeenExecution): void {
    const { executionId, attempt } = run;
    promise(
      "a start is of the current attempt or an earlier one",
      attempt <= seen.attempt,
      () => `${executionId} attempt ${attempt} starts; the store has ${seen.attempt}`,
    );
    for (const other of earlier) {
      if (other.attempt >= attempt) continue;
      const log = seen.logs.get(other.attempt);
      promise(
        "runs again only after its end is stored",
        log !== undefined,
        () => `${executionId} attempt ${attempt} starts; ${other.attempt} ran and has no end`,
      );
      promise(
        "what came back NOT_STARTED never ran",
        log.returnReason !== 1 || this.#around.kafka.hasLost(executionId, other.attempt),
        () => `${executionId} attempt ${other.attempt} ran and came back NOT_STARTED`,
      );
      promise(
        "done work is not done again",
        other.how !== "succeeded" || log.returnReason > 0 || DONE_IN_VAIN.has(log.status),
        () => `${executionId} attempt ${other.attempt} had succeeded and is ${log.status}`,
      );
    }
  }

  #executor({ after }: RowChange): void {
    if (after !== null && after.lost_us !== null) this.#lost.add(String(after.incarnation));
  }

  #attempt({ before, after }: RowChange): void {
    promise("history is only added to", before === null && after !== null, () => "a row of job_logs was changed");
    const executionId = String(after.execution_id);
    const attempt = Number(after.attempt);
    const status = stateOf(after.status);
    const returnReason = Number(after.return_reason);
    const logs = this.seen.get(executionId)?.logs;
    logs?.set(attempt, { status, returnReason, incarnation: String(after.incarnation), endUs: Number(after.end_us) });
    const isDeclared = status !== "LOST" || returnReason === 3 || this.#lost.has(String(after.incarnation));
    promise(
      "lost only after its executor was declared lost",
      isDeclared,
      () => `${executionId} attempt ${attempt} is LOST`,
    );
    const runs = this.#around.record.of(executionId).filter((run) => run.attempt === attempt);
    if (returnReason === 3 && !this.#around.kafka.hasForgotten)
      checkKnown(runs, ({ node, process }) => this.#nodeOf(node)?.process?.name === process);
    const hows: Readonly<Record<string, readonly string[]>> = { SUCCEEDED: ["succeeded"], FAILED: ["failed"] };
    const isUnstorable = String(after.failure).includes("RESULT_UNSTORABLE");
    if (isUnstorable) checkUnstorable(this.#around.store, executionId);
    const hasRun =
      isUnstorable || (hows[status] ?? []).length === 0 || runs.some(({ how }) => hows[status]?.includes(how ?? ""));
    promise(
      "a result is of what really ran",
      hasRun,
      () => `${executionId} attempt ${attempt} is ${status}; it ${runs.map(({ how }) => how).join() || "never ran"}`,
    );
    promise(
      "what came back NOT_STARTED never ran",
      returnReason !== 1 || runs.length === 0 || this.#around.kafka.hasLost(executionId, attempt),
      () => `${executionId} attempt ${attempt} ran and came back NOT_STARTED`,
    );
  }

  #execution({ before, after }: RowChange): void {
    promise("nothing stored is lost", after !== null, () => `${before?.execution_id} was deleted`);
    const id = String(after.execution_id);
    const state = stateOf(after.state);
    const attempt = Number(after.attempt);
    const policy = parsePolicy(String(after.policy), 0, 0);
    const seen = this.seen.get(id) ?? {
      state,
      attempt: 0,
      policy,
      notBeforeUs: 0,
      notAfterUs: FOR_EVER,
      logs: new Map(),
    };
    this.seen.set(id, seen);
    if (before === null) this.#inserted(id, after);
    else {
      const was = stateOf(before.state);
      const isSame = was === state && before.attempt === after.attempt && before.ended_us === after.ended_us;
      promise("a final state never changes", !isFinal(was) || isSame, () => `${id} was ${was} and is ${state}`);
      promise(
        "states follow the table",
        was === state || TRANSITIONS[was].includes(state),
        () => `${id} goes from ${was} to ${state}`,
      );
      const step = attempt - Number(before.attempt);
      promise(
        "attempts are counted one by one",
        step === 0 || (step === 1 && state === "DISPATCHED"),
        () => `${id} goes from attempt ${before.attempt} to ${attempt} as ${state}`,
      );
      promise(
        "a key is drawn with its attempt",
        step === 1 || before.fence === after.fence || !isActive(state),
        () => `${id} attempt ${attempt} has another fence`,
      );
      if (step === 1) this.#claimed(id, attempt, seen);
    }
    promise(
      "at most max_losses",
      Number(after.loss_count) < policy.maxLosses || isFinal(state),
      () => `${id} has lost ${after.loss_count} executors, at most ${policy.maxLosses}`,
    );
    seen.state = state;
    seen.attempt = attempt;
    // What waits for its first attempt may get another time under its unique key.
    if (state === "SCHEDULED" || (state === "READY" && attempt === 0)) seen.notBeforeUs = Number(after.ready_us);
    // The start takes the limit away, and may be told before it is looked at here.
    if (state === "DISPATCHED") seen.notAfterUs = Number(after.start_deadline_us ?? FOR_EVER);
  }

  #inserted(id: string, row: ChangedRow): void {
    if (row.job_uid === null || Number(row.cause) !== 1) return;
    const nominal = `${row.job_uid} ${row.scheduled_us}`;
    promise(
      "a nominal time has one execution",
      !this.#nominal.has(nominal),
      () => `${id} and ${this.#nominal.get(nominal)} are of ${nominal}`,
    );
    this.#nominal.set(nominal, id);
  }

  #claimed(id: string, attempt: number, seen: SeenExecution): void {
    if (attempt === 1) return;
    const log = seen.logs.get(attempt - 1);
    promise(
      "an attempt follows an end",
      log !== undefined,
      () => `${id} attempt ${attempt} is claimed; ${attempt - 1} has no end`,
    );
    const mayFollow = seen.policy.lostPolicy === "RETRY" || log.status !== "LOST";
    promise(
      "under FAIL nothing follows a loss",
      mayFollow,
      () => `${id} attempt ${attempt} is claimed; ${attempt - 1} was lost`,
    );
  }
}

function stateOf(value: string | number | null | undefined): ExecutionState {
  return EXECUTION_STATES[Number(value)] as ExecutionState;
}

function isActive(state: ExecutionState): boolean {
  return state === "DISPATCHED" || state === "RUNNING";
}
