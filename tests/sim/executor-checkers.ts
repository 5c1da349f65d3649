/**
 * The judges of what homes and executors promise one another, at every step:
 * sessions, claims, what comes back, losses, stops, and room for results.
 */
import { fenceOf } from "../../services/common/adapter/sql/execution-row.ts";
import { parsePolicy } from "../../services/common/adapter/sql/execution-text.ts";
import { EXECUTION_STATES, STOP_REASONS } from "../../services/common/domain/execution.ts";
import { type ExecutionId, keyText } from "../../services/common/domain/identifier.ts";
import type { ExecutorNode } from "./executor-node.ts";
import type { Surroundings } from "./node-parts.ts";
import type { RecordEvents, Run } from "./record.ts";
import type { ChangedRow, RowChange } from "./row-changes.ts";
import { promise } from "./verdict.ts";
import { filledOf } from "./work.ts";

/** How an attempt came back, as job_logs has it. */
const NOT_STARTED = 1;
const CUT_OFF = 2;
const UNKNOWN = 3;
/** From this many in a row on, what comes back waits. */
const RETURNS_UNTIL_WAIT = 3;
/** A command's end takes no longer, once its spawner knows that it has to kill it. */
const DYING_MS = 1_000;
/** Attempts under LOST_POLICY_RETRY wait no longer than this for results that may be in Kafka. */
const BUS_WAIT_MS = 30_000;

const CANCEL = STOP_REASONS.indexOf("CANCEL");

/** ExecutorCheckers watch a run. */
export class ExecutorCheckers implements RecordEvents {
  readonly #around: Surroundings;
  readonly #nodes: () => readonly ExecutorNode[];
  /** Rows of executors, by incarnation. */
  readonly #executors = new Map<string, ChangedRow>();
  /** When each incarnation was declared lost. */
  readonly #lostMs = new Map<string, number>();
  /** Attempts of each execution that came back, in a row. */
  readonly #returns = new Map<string, number>();
  readonly #cancelled = new Set<string>();
  /** When the session began that each incarnation has now. */
  readonly greetedMs = new Map<string, number>();
  /** Attempts that came back NOT_STARTED so far. */
  returned = 0;

  /** @param nodes every executor's node, twins too. */
  constructor(around: Surroundings, nodes: () => readonly ExecutorNode[]) {
    this.#around = around;
    this.#nodes = nodes;
  }

  /** A transaction has committed. */
  committed(changes: readonly RowChange[]): void {
    for (const change of changes) if (change.table === "executors") this.#executor(change);
    for (const change of changes) if (change.table === "job_logs") this.#attempt(change);
    for (const change of changes) if (change.table === "executions") this.#execution(change, changes);
  }

  started(run: Run): void {
    const node = this.#nodes().find(({ name }) => name === run.node);
    const status = node?.executor?.status;
    // A command's process begins later than its attempt was taken.
    if (run.kind === "command" || node === undefined || status === undefined) return;
    const results = status.keptResults + status.running;
    promise(
      "no work at the bound of kept results",
      results <= node.maxKeptResults,
      () => `${run.process} has ${results} results and attempts, at most ${node.maxKeptResults}`,
    );
  }

  /** Rule 22: a command does not outlive its executor, nor the silence of it, where its spawner is well. */
  ended(run: Run): void {
    const node = this.#nodes().find(({ name }) => name === run.node);
    if (run.kind === "handler" || node === undefined || node.hadSpawnerFaults) return;
    const silentMs = this.#around.timeline.nowMs - node.silentSinceMs(run.process);
    const mostMs = node.isDead(run.process) ? DYING_MS : node.silenceMs + DYING_MS;
    promise(
      "a command dies with its executor",
      silentMs <= mostMs,
      () => `${run.executionId} attempt ${run.attempt} ran on for ${silentMs} ms without ${run.process}`,
    );
  }

  #executor({ before, after }: RowChange): void {
    if (after === null) return;
    const incarnation = String(after.incarnation);
    this.#executors.set(incarnation, after);
    if (after.lost_us !== null && before?.lost_us === null) this.#lostMs.set(incarnation, this.#around.timeline.nowMs);
    const [was, is] = [Number(before?.session_number ?? 0), Number(after.session_number)];
    promise("session numbers rise", is >= was, () => `${after.executor_id} goes from session ${was} to ${is}`);
    if (is === was) return;
    promise("loss is for ever", before?.lost_us == null, () => `${incarnation} is lost and was welcomed again`);
    this.greetedMs.set(incarnation, this.#around.timeline.nowMs);
    this.#greeted(after);
  }

  #greeted({ incarnation, executor_id: executorId, profile }: ChangedRow): void {
    const { lane } = JSON.parse(String(profile)) as { readonly lane: number | null };
    const node = this.#nodes().find(({ executor }) => executor?.status.incarnation === incarnation);
    if (node?.process == null) return;
    const { name, process } = node;
    const left = this.#around.record.runs.find(
      (run) => run.endMs === null && run.kind === "command" && run.node === name && run.process !== process.name,
    );
    promise(
      "what was left is dead before Hello",
      left === undefined,
      () => `${process.name} said Hello; ${left?.executionId} of ${left?.process} still runs`,
    );
    if (lane === null) return;
    const stands = this.#around.kafka.stood.has(`${process.name} ${lane}`);
    promise("a lane stands before Hello", stands, () => `${executorId} said Hello; its lane ${lane} does not stand`);
  }

  #attempt({ after }: RowChange): void {
    if (after === null) return;
    const id = String(after.execution_id);
    const returnReason = Number(after.return_reason);
    const cameBack = returnReason === NOT_STARTED || returnReason === CUT_OFF;
    if (returnReason === NOT_STARTED) this.returned++;
    this.#returns.set(id, cameBack ? (this.#returns.get(id) ?? 0) + 1 : 0);
    const running = this.#around.record.of(id).find((run) => run.endMs === null && !this.#stoodStill(run));
    promise(
      "nothing runs on behind its end",
      running === undefined,
      () => `${id} attempt ${after.attempt} has ended; ${running?.attempt} runs at ${running?.node}`,
    );
    const key = { executionId: id as ExecutionId, attempt: Number(after.attempt), fence: fenceOf(String(after.fence)) };
    const text = keyText(key);
    promise(
      "an executor knows what it had",
      returnReason !== UNKNOWN || this.#around.kafka.lost.has(text),
      () => `${text} is UNKNOWN at ${after.executor_id}`,
    );
    if (EXECUTION_STATES[Number(after.status)] === "LOST" && returnReason === 0) this.#lost(after, text);
  }

  /** Rule 15: what was in Kafka when its executor was declared lost is stored; not what took the place of a lost record. */
  #lost({ execution_id: id, incarnation }: ChangedRow, key: string): void {
    const { kafka, store, timeline } = this.#around;
    const lostMs = this.#lostMs.get(String(incarnation));
    const writtenMs = kafka.writtenMs(key);
    if (lostMs === undefined || writtenMs === null || writtenMs >= lostMs) return;
    // It took the offset of a lost record, up to which all seems stored: the limit of rule 27 (docs/simulator.md).
    const offsets = store.rows("SELECT part, next_offset FROM result_offsets");
    const nextOffsets = new Map(offsets.map((row) => [Number(row.part), Number(row.next_offset)]));
    if (kafka.lost.has(key) || kafka.seemsStored(key, nextOffsets)) return;
    const [row] = store.rows("SELECT policy FROM executions WHERE execution_id = ?", String(id));
    const { lostPolicy } = parsePolicy(String(row?.policy), 0, 0);
    const mayGiveUp = lostPolicy === "RETRY" && timeline.nowMs - lostMs >= BUS_WAIT_MS;
    promise("a loss waits for results on their way", mayGiveUp, () => `${key} is LOST; its result is in Kafka`);
  }

  #execution({ before, after }: RowChange, changes: readonly RowChange[]): void {
    if (after !== null && Number(after.attempt) > Number(before?.attempt ?? 0)) this.#drained(after);
    if (before === null || after === null) return;
    const id = String(after.execution_id);
    if (Number(after.stop_reason) === CANCEL) this.#cancelled.add(id);
    if (Number(after.attempt) > Number(before.attempt)) this.#claimed(after);
    const ended = changes.find(({ table, after: log }) => table === "job_logs" && log?.execution_id === id)?.after;
    const cameBack = ended?.return_reason === NOT_STARTED || ended?.return_reason === CUT_OFF;
    promise(
      "what comes back is not counted",
      !cameBack || after.counted_attempts === before.counted_attempts,
      () => `${id} attempt ${ended?.attempt} came back and is counted`,
    );
    const state = EXECUTION_STATES[Number(after.state)];
    const returns = this.#returns.get(id) ?? 0;
    promise(
      "what comes back again and again waits",
      !cameBack || returns < RETURNS_UNTIL_WAIT || state !== "READY",
      () => `${id} came back ${returns} times in a row and is READY`,
    );
  }

  /** Nothing is claimed for what was asked to leave, whether its home has heard of it or not. */
  #drained({ execution_id: id, attempt, incarnation, executor_id: executorId }: ChangedRow): void {
    promise(
      "no work for what drains",
      this.#executors.get(String(incarnation))?.drain_us === null,
      () => `${id} attempt ${attempt} is claimed for ${executorId}, which was asked to leave`,
    );
  }

  #claimed(row: ChangedRow): void {
    const id = String(row.execution_id);
    const executor = this.#executors.get(String(row.incarnation));
    const stands =
      executor?.lost_us === null && executor.left_us === null && executor.session_number === row.session_number;
    promise(
      "a claim is for a session that stands",
      stands,
      () => `${id} attempt ${row.attempt} is claimed for session ${row.session_number} of ${row.executor_id}`,
    );
    promise("nothing follows a cancel", !this.#cancelled.has(id), () => `${id} is claimed after its cancel`);
  }

  /** As in checkers.ts: a process that stood still cannot end its handlers in time. */
  #stoodStill(run: Run): boolean {
    const process = this.#nodes().find(({ name }) => name === run.node)?.process;
    if (run.kind === "command" || process == null || process.name !== run.process) return false;
    return process.isPaused || process.resumedMs >= run.startMs;
  }
}

/** A target is filled in for the attempt that it runs for, with what its execution was given. */
export function checkFilled({ executionId, attempt, filled }: Run): void {
  promise(
    "a target is filled in by its own attempt",
    filled === undefined || filled === filledOf(executionId, attempt),
    () => `${executionId} attempt ${attempt} runs what was filled in as ${filled}`,
  );
}
