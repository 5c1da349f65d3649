/** What holds in every store at every time, read from its rows: for random tests, the simulator and system tests. */
import assert from "node:assert/strict";
import { reasonNumber } from "../../services/common/adapter/sql/execution-row.ts";
import { END_REASONS } from "../../services/common/adapter/sql/listing-source.ts";
import type { SqlSession } from "../../services/common/adapter/sql/session.ts";

type Rows = readonly Readonly<Record<string, unknown>>[];
/** Ended executions as they were last seen, by identifier: a final state never changes. */
export type EndedExecutions = Map<unknown, string>;

const FINAL = "state >= 5";
const BROKEN: Readonly<Record<string, string>> = {
  "what is claimable is READY and admitted": `(claim_route IS NOT NULL) <> (state = 2 AND waiting_gate IS NULL)`,
  "the claimable route is its own, or that of its turn": "claim_route <> route_id AND policy NOT LIKE '%ROUND_ROBIN%'",
  "only SCHEDULED waits for a timer": "(timer_shard IS NOT NULL) <> (state = 1) OR timer_shard <> shard",
  "only DISPATCHED and RUNNING are active": `(active_executor IS NOT NULL) <> (state IN (3, 4))`,
  "the active executor is its own": "active_executor <> executor_id",
  "an active attempt has a key": "state IN (3, 4) AND (attempt < 1 OR fence IS NULL OR dispatch_us IS NULL)",
  "only the final has ended": `(ended_us IS NOT NULL) <> (${FINAL})`,
  "the final holds and awaits no gate": `${FINAL} AND (gates_held = 1 OR waiting_gate IS NOT NULL)`,
  "only what is admitted and has gates holds them":
    "gates_held = 1 AND (gate_keys IS NULL OR waiting_gate IS NOT NULL)",
  "with gates, what runs or ran is admitted": "state IN (3, 4) AND gate_keys IS NOT NULL AND gates_held IS NULL",
  "with gates, what is claimable is admitted":
    "claim_route IS NOT NULL AND gate_keys IS NOT NULL AND gates_held IS NULL",
  "what is READY or active has nothing to say": "state IN (2, 3, 4) AND state_message <> ''",
  "what is active or has succeeded has no reason": "state IN (3, 4, 5) AND state_reason <> 0",
  "what has succeeded has not failed": "state = 5 AND failure IS NOT NULL",
  "what runs or has ended awaits no start": `start_deadline_us IS NOT NULL AND (state = 4 OR ${FINAL})`,
  "only the final has a time to be deleted at": `expire_us IS NOT NULL AND NOT (${FINAL})`,
  "what has ended carries no unique_key": `live_unique_key IS NOT NULL AND ${FINAL}`,
  "no more attempts are counted than were made": "counted_attempts > attempt",
  "what has not ended has no reason of an end": `state < 5 AND state_reason IN (${[...END_REASONS].map(reasonNumber).join(", ")})`,
};

/** Throws when an invariant does not hold; adds what has ended to `ended`. */
export async function checkInvariants(session: SqlSession, ended: EndedExecutions): Promise<void> {
  for (const [name, broken] of Object.entries(BROKEN)) {
    assert.deepEqual(await session.query(`SELECT execution_id, state FROM executions WHERE ${broken}`), [], name);
  }
  assert.deepEqual(await session.query(ATTEMPTS), [], "each attempt before the current one has one row in job_logs");
  assert.deepEqual(
    await session.query(ENDS),
    [],
    "what has ended otherwise than SUCCEEDED, and nothing else, is noted",
  );
  await checkGates(session);
  const rows = await session.query(
    `SELECT execution_id, state, ended_us, change_number FROM executions WHERE ${FINAL}`,
  );
  for (const row of rows) {
    const now = `${row.state} ${row.ended_us} ${row.change_number}`;
    assert.equal(ended.get(row.execution_id) ?? now, now, `a final state never changes: ${row.execution_id}`);
    ended.set(row.execution_id, now);
  }
  assert.equal(rows.length, ended.size, "what has ended stays");
}

const ATTEMPTS = `SELECT e.execution_id FROM executions e
  LEFT JOIN job_logs l ON l.execution_id = e.execution_id
  GROUP BY e.execution_id, e.attempt, e.state
  HAVING COUNT(l.id) <> e.attempt - CASE WHEN e.state IN (3, 4) THEN 1 ELSE 0 END
    OR COALESCE(MAX(l.attempt), 0) <> COUNT(l.id)`;

/** Executions without the row that lists find them by, or with one too many; and rows without an execution. */
const ENDS = `SELECT e.execution_id, e.state, n.state AS noted FROM executions e
    LEFT JOIN unsuccessful_ends n ON n.execution_id = e.execution_id
    WHERE (e.state > 5) <> (n.execution_id IS NOT NULL) OR n.state <> e.state OR n.state_reason <> e.state_reason
      OR n.namespace <> e.namespace OR (n.state IS NOT NULL AND COALESCE(n.job_id, '') <> COALESCE(e.job_id, ''))
  UNION ALL SELECT n.execution_id, 0, n.state FROM unsuccessful_ends n
    LEFT JOIN executions e ON e.execution_id = n.execution_id WHERE e.execution_id IS NULL`;

async function checkGates(session: SqlSession): Promise<void> {
  const held = countBy(await session.query("SELECT gate_keys AS gate_key FROM executions WHERE gates_held = 1"));
  const waiting = countBy(
    await session.query("SELECT waiting_gate AS gate_key FROM executions WHERE waiting_gate IS NOT NULL"),
  );
  const gates = await session.query("SELECT gate_key, held, waiting, max_concurrency FROM gates");
  for (const gate of gates) {
    const counts = [Number(gate.held), Number(gate.waiting)];
    assert.deepEqual(counts, [held.get(gate.gate_key) ?? 0, waiting.get(gate.gate_key) ?? 0], `gate ${gate.gate_key}`);
    const limit = Number(gate.max_concurrency);
    assert.ok(limit === 0 || Number(gate.held) <= limit, `gate ${gate.gate_key} holds more than ${limit}`);
  }
}

/** Executions have one gate at most while there are no limits by key. */
function countBy(rows: Rows): Map<unknown, number> {
  const counts = new Map<unknown, number>();
  for (const { gate_key } of rows) counts.set(gate_key, (counts.get(gate_key) ?? 0) + 1);
  return counts;
}
