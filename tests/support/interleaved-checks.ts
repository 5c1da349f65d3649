/** What holds after two transactions, in whatever order their statements ran. */
import assert from "node:assert/strict";
import { overlapNumber, StateNumber } from "../../services/common/adapter/sql/execution-row.ts";
import { CAUSES } from "../../services/common/domain/execution.ts";
import { GATE, type InterleavedWorld } from "./interleaved-world.ts";
import { checkInvariants } from "./store-invariants.ts";

type Rows = readonly Readonly<Record<string, unknown>>[];

/** What was seen of executions after each COMMIT. */
export class SeenCommits {
  readonly #world: InterleavedWorld;
  readonly #ended = new Map<unknown, string>();
  readonly #stored = new Set<unknown>();

  constructor(world: InterleavedWorld) {
    this.#world = world;
  }

  /** A final state never changes, and only what was final is deleted. */
  async look(): Promise<void> {
    const rows = await this.#world.setup.rows(
      "SELECT execution_id, state, ended_us, change_number FROM executions ORDER BY execution_id",
    );
    const there = new Set(rows.map((row) => row.execution_id));
    for (const id of this.#stored) {
      assert.ok(there.has(id) || this.#ended.has(id), `${String(id)} is gone and was not final`);
      if (!there.has(id)) this.#stored.delete(id);
    }
    for (const row of rows) {
      this.#stored.add(row.execution_id);
      const known = this.#ended.get(row.execution_id);
      const now = `${row.state} ${row.ended_us} ${row.change_number}`;
      if (known !== undefined) assert.equal(now, known, "a final state never changes");
      if (Number(row.state) >= 5) this.#ended.set(row.execution_id, now);
    }
  }

  /** True when it was final at some time. */
  hasEnded(executionId: unknown): boolean {
    return this.#ended.has(executionId);
  }
}

/** The invariants of design.md, as far as rows and answers tell them. */
export async function checkWorld(
  world: InterleavedWorld,
  seen: SeenCommits,
  answers: readonly unknown[],
): Promise<void> {
  await seen.look();
  await world.setup.sql((session) => checkInvariants(session, new Map()));
  await checkRows(world);
  const { setup } = world;
  const rows = await setup.rows("SELECT execution_id, state, attempt, live_unique_key FROM executions");
  checkSubmitted(rows, seen, answers);
  checkClaimed(rows, answers);
  const applied = new Set<string>();
  for (const { key, applied: isApplied } of each(answers, isResult)) {
    if (!isApplied) continue;
    const text = `${key.executionId} ${key.attempt}`;
    assert.ok(!applied.has(text), `${text} ended twice`);
    applied.add(text);
  }
  const fired = each(answers, (one): one is { kind: "fired" } => kindOf(one) === "fired");
  assert.ok(fired.length <= 1, "fired twice");
}

const SCHEDULE = CAUSES.indexOf("SCHEDULE");
/** SQL that finds nothing. */
const NOTHING: Readonly<Record<string, string>> = {
  "an attempt's row has its execution":
    "SELECT l.execution_id FROM job_logs l LEFT JOIN executions e ON e.execution_id = l.execution_id WHERE e.execution_id IS NULL",
  "output has its execution":
    "SELECT p.execution_id FROM output_pieces p LEFT JOIN executions e ON e.execution_id = p.execution_id WHERE e.execution_id IS NULL",
  "a job counts its fires": `SELECT j.job_uid, j.fire_count, COUNT(e.execution_id) AS made FROM jobs j
    LEFT JOIN executions e ON e.job_uid = j.job_uid AND e.cause = ${SCHEDULE} AND e.state <> ${StateNumber.SKIPPED}
    GROUP BY j.job_uid, j.fire_count HAVING made <> j.fire_count`,
  "a unique key has one execution": `SELECT live_unique_key FROM executions WHERE live_unique_key IS NOT NULL
    GROUP BY live_unique_key HAVING COUNT(*) > 1`,
  "a gate that somebody holds or waits at is there": `SELECT e.execution_id FROM executions e
    LEFT JOIN gates g ON g.gate_key = e.gate_keys
    WHERE (e.gates_held = 1 OR e.waiting_gate IS NOT NULL) AND g.gate_key IS NULL`,
  "a label has its execution":
    "SELECT l.execution_id FROM execution_labels l LEFT JOIN executions e ON e.execution_id = l.execution_id WHERE e.execution_id IS NULL",
  "an execution with labels is found by them": `SELECT e.execution_id FROM executions e
    LEFT JOIN execution_labels l ON l.execution_id = e.execution_id WHERE e.labels LIKE '{"team"%' AND l.label IS NULL`,
  // One whose overlap policy is not ALLOW waits till nobody holds the gate; all wait behind one that cancels what holds it.
  "a gate with room that somebody waits at is tried": `SELECT e.execution_id, g.held, g.waiting FROM executions e
    JOIN gates g ON g.gate_key = e.waiting_gate
    WHERE g.try_us IS NULL AND (g.held = 0 OR e.overlap = ${overlapNumber("ALLOW")} AND (g.max_concurrency = 0 OR g.held < g.max_concurrency))
      AND (g.held = 0 OR NOT EXISTS (SELECT 1 FROM executions w WHERE w.waiting_gate = g.gate_key
        AND w.overlap = ${overlapNumber("CANCEL_RUNNING")}))`,
};

async function checkRows({ setup, job }: InterleavedWorld): Promise<void> {
  for (const [name, sql] of Object.entries(NOTHING)) assert.deepEqual(await setup.rows(sql), [], name);
  const [gate] = await setup.rows("SELECT max_concurrency FROM gates WHERE gate_key = ?", GATE);
  const [now] = await setup.rows("SELECT policy FROM jobs WHERE job_uid = ?", job?.jobUid ?? "");
  if (gate === undefined || now === undefined) return;
  const { maxConcurrency } = JSON.parse(String(now.policy)) as { maxConcurrency: number };
  assert.equal(Number(gate.max_concurrency), maxConcurrency, "a gate has the limit of its job");
}

type Named = { readonly executionId: string };
type Claimed = Named & { readonly attempt: number; readonly fence: bigint; readonly state: string };
type Stored = { readonly kind: string; readonly executionId?: string; readonly execution?: Named };

/** What is acknowledged is there; a request has one answer. */
function checkSubmitted(rows: Rows, seen: SeenCommits, answers: readonly unknown[]): void {
  const there = new Set(rows.map((row) => row.execution_id));
  const outcomes = each(answers, (one): one is Stored =>
    ["stored", "repeated", "existing", "key_taken"].includes(kindOf(one)),
  );
  for (const { kind, execution, executionId } of outcomes) {
    const id = execution?.executionId ?? executionId;
    assert.ok(there.has(id) || seen.hasEnded(id), `${kind} ${id} is not there`);
  }
  assert.equal(each(answers, (one): one is Stored => kindOf(one) === "refused").length, 0, "refused");
}

/** No two claims have one attempt, and what was claimed is at that attempt or beyond it. */
function checkClaimed(rows: Rows, answers: readonly unknown[]): void {
  const keys = new Set<string>();
  for (const { executionId, attempt } of each(answers, isClaim)) {
    assert.ok(!keys.has(`${executionId} ${attempt}`), `${executionId} was claimed twice`);
    keys.add(`${executionId} ${attempt}`);
    const row = rows.find((one) => one.execution_id === executionId);
    assert.ok(row === undefined || Number(row.attempt) >= attempt, `${executionId} went back`);
  }
}

function isClaim(one: unknown): one is Claimed {
  return isObject(one) && "executionId" in one && "fence" in one && one.state === "DISPATCHED";
}

function isResult(
  one: unknown,
): one is { readonly key: { executionId: string; attempt: number }; readonly applied: boolean } {
  return isObject(one) && "applied" in one;
}

function kindOf(one: unknown): string {
  return isObject(one) ? String(one.kind) : "";
}

/** Single outcomes of all answers, in whatever lists they are. */
function each<T>(answers: readonly unknown[], is: (one: unknown) => one is T): T[] {
  return answers.flatMap((answer) => {
    if (Array.isArray(answer)) return each(answer as unknown[], is);
    if (isObject(answer) && Array.isArray(answer.results)) return each(answer.results as unknown[], is);
    return is(answer) ? [answer] : [];
  });
}

function isObject(one: unknown): one is Record<string, unknown> {
  return typeof one === "object" && one !== null;
}
