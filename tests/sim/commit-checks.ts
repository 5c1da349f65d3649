/**
 * Judges of single commits that look at the rows beside those that changed: what a claim takes first, who holds a gate,
 * what a fire was compared with, and that offsets only grow. Their names are those of docs/simulator.md.
 */
import { overlapNumber, reasonNumber, StateNumber } from "../../services/common/adapter/sql/execution-row.ts";
import { STOP_REASONS } from "../../services/common/domain/execution.ts";
import type { Run } from "./record.ts";
import type { RowChange } from "./row-changes.ts";
import { type SimStore, UNSTORABLE } from "./store.ts";
import { promise } from "./verdict.ts";

/** What a scheduler knows of mesh time is off by less, half a round trip to a slow store. */
const MESH_TIME_TOLERANCE_MS = 2_500;

/** Looks at a commit. @param missedMs how late a fire has to be before it was missed */
export function checkCommit(store: SimStore, name: string, changes: readonly RowChange[], missedMs: number): void {
  for (const change of changes) if (change.table === "result_offsets") checkOffset(change);
  const executions = changes.filter(({ table }) => table === "executions");
  if (name === "job.update") for (const change of changes) if (change.table === "jobs") checkKept(change);
  if (name === "claim") for (const change of executions) checkOrder(store, change);
  if (name === "fire") for (const change of executions) checkFire(store, change, missedMs);
  for (const change of executions) checkGate(store, change);
  for (const change of executions) checkLoss(change);
  for (const change of executions) checkCancelling(store, change);
  for (const change of executions) checkSkipped(store, change);
  if (name === "admit") for (const change of executions) checkLeader(store, change);
}

/** Rule 9: the store's next fire stands while its schedule does, though an update has read an earlier one. */
function checkKept({ before, after }: RowChange): void {
  if (before === null || after === null || before.schedule !== after.schedule) return;
  promise(
    "an update keeps the fires of its schedule",
    before.next_fire_us === after.next_fire_us,
    () =>
      `the next fire of job ${after.job_uid} was ${before.next_fire_us}; an update has made it ${after.next_fire_us}`,
  );
}

/** Rule 3: who stores results begins where others ended. */
function checkOffset({ before, after }: RowChange): void {
  if (before === null || after === null || before.generation !== after.generation) return;
  promise(
    "offsets only grow",
    Number(after.next_offset) >= Number(before.next_offset),
    () => `partition ${after.part} goes back from ${before.next_offset} to ${after.next_offset}`,
  );
}

/** Rule 6: nothing of a better rank waits on the same route, but what came too late (rule 24). */
function checkOrder(store: SimStore, { after }: RowChange): void {
  const id = String(after?.execution_id);
  const [better] = store.rows(
    `SELECT w.execution_id FROM executions c JOIN executions w ON w.claim_route = c.route_id
      WHERE c.execution_id = ? AND c.state = ${StateNumber.DISPATCHED} AND w.claim_rank < c.claim_rank
        AND (w.start_deadline_us IS NULL OR w.start_deadline_us >= c.dispatch_us)
        AND c.policy NOT LIKE '%ROUND_ROBIN%'`,
    id,
  );
  promise("the best rank first", better === undefined, () => `${id} is claimed before ${better?.execution_id}`);
}

/** Rule 7: of those that want to be alone one holds the gate. */
function checkGate(store: SimStore, { before, after }: RowChange): void {
  if (after === null || after.gates_held === null || before?.gates_held === after.gates_held) return;
  const held = store.rows(
    `SELECT execution_id FROM executions WHERE gate_keys = ? AND gates_held = 1 AND overlap <> ${overlapNumber("ALLOW")}`,
    String(after.gate_keys),
  );
  promise(
    "one at a time",
    held.length <= 1,
    () => `${held.map((row) => row.execution_id).join(" and ")} hold ${after.gate_keys}`,
  );
}

/** Sent ahead of its time, which has not come (rule 11). */
const AHEAD = "(attempt > 0 AND ready_us > dispatch_us AND ready_us > ? AND scheduled_us > ?)";

/** Who begins to wait under CANCEL_RUNNING has asked all that hold the gate to end; what is held for its time is none of them. */
function checkCancelling(store: SimStore, { before, after }: RowChange): void {
  if (after === null || after.waiting_gate === null || before?.waiting_gate === after.waiting_gate) return;
  // One that a change of the limit sends to wait again is no new one.
  if (after.overlap !== overlapNumber("CANCEL_RUNNING")) return;
  const holders = store.rows(
    `SELECT execution_id FROM executions WHERE gate_keys = ? AND gates_held = 1
      AND stop_reason <> ${STOP_REASONS.indexOf("CANCEL")} AND NOT ${AHEAD}`,
    String(after.gate_keys),
    store.nowUs(),
    store.nowUs(),
  );
  promise(
    "CANCEL_RUNNING cancels what runs",
    holders.length === 0,
    () => `${after.execution_id} waits for ${holders[0]?.execution_id}, which nobody asked to end`,
  );
}

/** Rule 11: overlap is never decided by a fire that is held for its time: another one runs, or waits before it. */
function checkSkipped(store: SimStore, { before, after }: RowChange): void {
  if (after === null || after.gate_keys === null || before?.state === after.state) return;
  if (Number(after.state) !== StateNumber.SKIPPED || Number(after.state_reason) !== reasonNumber("OVERLAP")) return;
  const [earlier] = store.rows(
    `SELECT execution_id FROM executions WHERE gate_keys = ? AND execution_id <> ?
      AND (waiting_gate IS NOT NULL OR gates_held = 1 AND NOT ${AHEAD}) LIMIT 1`,
    String(after.gate_keys),
    String(after.execution_id),
    store.nowUs(),
    store.nowUs(),
  );
  promise(
    "a held fire is no earlier one",
    earlier !== undefined,
    () => `${after.execution_id} is skipped for it alone`,
  );
}

/** Rule 7: while one waits to cancel what holds a gate, nothing that could run as well as it is let in before it. */
function checkLeader(store: SimStore, { before, after }: RowChange): void {
  if (before === null || after === null || before.waiting_gate === null || after.gates_held === null) return;
  const [leader] = store.rows(
    `SELECT w.execution_id FROM executions a JOIN executions w ON w.waiting_gate = a.gate_keys
      AND w.route_id = a.route_id WHERE a.execution_id = ? AND w.overlap = ${overlapNumber("CANCEL_RUNNING")}
      AND a.overlap <> w.overlap AND (w.start_deadline_us IS NULL OR w.start_deadline_us >= ?)`,
    String(after.execution_id),
    store.nowUs(),
  );
  promise(
    "CANCEL_RUNNING goes first",
    leader === undefined,
    () => `${after.execution_id} is let in before ${leader?.execution_id}`,
  );
}

/** Rule 26: what has lost two executors is not handed to the next one at once. */
function checkLoss({ before, after }: RowChange): void {
  if (before === null || after === null || Number(after.loss_count) < 2) return;
  promise(
    "losses are waited after",
    after.loss_count === before.loss_count || after.state !== StateNumber.READY,
    () => `${after.execution_id} is READY after its loss ${after.loss_count}`,
  );
}

/** Rule 4: only what the store refuses ends as unstorable, not what came with it. */
export function checkUnstorable(store: SimStore, executionId: string): void {
  const [refused] = store.rows(
    "SELECT 1 FROM executions WHERE execution_id = ? AND instr(CAST(target AS TEXT), ?) > 0",
    executionId,
    UNSTORABLE,
  );
  promise("only what is refused is unstorable", refused !== undefined, () => `${executionId} is taken for unstorable`);
}

/**
 * Rules 3 and 18: what an executor did it knows until the store does. Not asked where Kafka has lost records: until a
 * generation is raised, those that take their offsets cannot be told from them, and an executor lets go of its result
 * when the other's is stored.
 *
 * @param isAlive whether the process of a run lives
 */
export function checkKnown(runs: readonly Run[], isAlive: (run: Run) => boolean): void {
  const done = runs.find((run) => run.how !== null && run.how !== "died" && isAlive(run));
  promise(
    "a result is kept until it is stored",
    done === undefined,
    () =>
      `${done?.executionId} attempt ${done?.attempt} ${done?.how} at ${done?.node}, which does not know it any more`,
  );
}

/**
 * Each nominal time that the job moved past is a row, or counted in one. Schedules here are regular. A change of the job
 * that came at the same time as a fire may set it back by that fire, which then is there already and stays one.
 *
 * @param nominal executions by job and nominal time, those of this commit too
 */
export function checkMove(
  store: SimStore,
  { before, after }: RowChange,
  changes: readonly RowChange[],
  nominal: ReadonlyMap<string, string>,
): void {
  if (before === null || after === null || before.next_fire_us === null || after.next_fire_us === null) return;
  if (before.next_fire_us === after.next_fire_us) return;
  const uid = after.job_uid;
  const periodUs = store.periodUs(String(uid));
  if (periodUs === null) return;
  const passed = (Number(after.next_fire_us) - Number(before.next_fire_us)) / periodUs;
  const rows = changes.filter(
    (change) => change.table === "executions" && change.before === null && change.after?.job_uid === uid,
  );
  const counted = rows.reduce((sum, change) => sum + 1 + Number(change.after?.merged_count ?? 0), 0);
  const isMade = nominal.has(`${uid} ${before.next_fire_us}`);
  const isAgain = isMade && !rows.some((change) => change.after?.scheduled_us === before.next_fire_us);
  promise(
    "each nominal time is accounted for",
    counted === passed || (isAgain && counted + 1 === passed),
    () => `job ${uid} moved on by ${passed} fires, ${counted} are accounted for`,
  );
}

/** Rules 9, 10 and 12: a fire is of its job as it stands, comes in its time, and is missed only when it is late. */
function checkFire(store: SimStore, { before, after }: RowChange, missedMs: number): void {
  if (before !== null || after === null || after.job_uid === null) return;
  const id = String(after.execution_id);
  const [job] = store.rows("SELECT revision, paused FROM jobs WHERE job_uid = ?", String(after.job_uid));
  promise(
    "a fire is of its job as it stands",
    job !== undefined && job.paused === 0 && job.revision === after.job_revision,
    () => `${id} is of revision ${after.job_revision}; the job is ${JSON.stringify(job)}`,
  );
  const lateMs = (store.nowUs() - Number(after.scheduled_us)) / 1_000;
  promise("no fire before its time", lateMs > -MESH_TIME_TOLERANCE_MS, () => `${id} is made ${-lateMs} ms early`);
  const isMissed = after.state_reason === reasonNumber("MISSED") || Number(after.merged_count) > 0;
  promise(
    "missed is late",
    !isMissed || lateMs > missedMs - MESH_TIME_TOLERANCE_MS,
    () => `${id} is taken for missed ${lateMs} ms after its time`,
  );
}
