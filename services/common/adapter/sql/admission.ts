import type { RouteId } from "../../domain/identifier.ts";
import { gateKeysOf, overlapOf, reasonNumber, StateNumber } from "./execution-row.ts";
import { isPastDeadline } from "./expire-time.ts";
import { LockedGates, RETRY_ADMISSION_US } from "./gates.ts";
import { lockExecutions } from "./locked-executions.ts";
import { updateRows } from "./many-rows.ts";
import { cancelOverlapped, waitersSql } from "./overlapped.ts";
import { runnableRoutes } from "./route-executors.ts";
import { big, int, text, textOrNull } from "./row-reader.ts";
import type { Row, SqlDatabase, SqlSession, SqlValue } from "./session.ts";

/**
 * Rule 7: the admitter. Only it lets waiting executions in: it takes gates
 * whose try_us is due, locks the keys of their first waiters in order, admits
 * in the order of the claim what fits, says of the rest which gate keeps them,
 * and passes over routes that no live executor can run, so that nothing holds a
 * gate that cannot run.
 *
 * One that waits to cancel what holds the gate (OVERLAP_POLICY_CANCEL_RUNNING)
 * goes before all others there, whatever their rank and time: it starts once
 * what it cancels has ended. What was queued before it was not let through, so
 * that it is not cancelled: it keeps its place behind. Till that one is in,
 * nobody else is; where something came in while nobody could run it, that is
 * asked to end at its turn.
 */

/** Waiters of a gate that one turn looks at. */
const MAX_WAITERS = 100;

/** Takes at most `limit` due gates; answers the routes that got claimable rows. */
export async function admit(db: SqlDatabase, limit: number): Promise<RouteId[]> {
  const keys = await db.read("due_gates", async (session) => {
    const rows = await session.query("SELECT gate_key, overlap FROM gates WHERE try_us <= ? ORDER BY try_us LIMIT ?", [
      await session.nowUs(),
      limit,
    ]);
    return rows.map((row) => ({ key: text(row, "gate_key"), cancels: int(row, "overlap") > 0 }));
  });
  const routes = new Set<RouteId>();
  for (const { key, cancels } of keys) {
    for (const routeId of await db.transact("admit", (session) => admitAt(session, key, cancels))) routes.add(routeId);
  }
  return [...routes];
}

const ADMITTED_UPDATE = {
  table: "executions",
  keys: ["execution_id"],
  set: ["claim_route"],
  also: "state_reason = 0, waiting_gate = NULL, gates_held = 1, change_number = t.change_number + 1",
} as const;
const RELABEL_UPDATE = {
  table: "executions",
  keys: ["execution_id"],
  set: ["waiting_gate", "state_reason"],
  also: "change_number = t.change_number + 1",
} as const;

/** @param cancels one may wait here to cancel what holds the gate, as it was read before */
async function admitAt(session: SqlSession, gateKey: string, cancels: boolean): Promise<ReadonlySet<RouteId>> {
  const [leader] = cancels ? await session.query(waitersSql, [gateKey]) : [];
  const first = await firstWaiters(session, gateKey, leader);
  const runnable = await runnableRoutes(session, [...new Set(first.map((row) => big(row, "route_id") as RouteId))]);
  const keys = first.flatMap((row) => gateKeysOf(textOrNull(row, "gate_keys")));
  const gates = await LockedGates.lock(session, [gateKey, ...keys]);
  const nowUs = await session.nowUs();
  const locked = await lockWaiters(session, gateKey, first);
  if (await isOtherLed(session, gates, gateKey, leader, locked)) {
    gates.setTry(gateKey, nowUs);
    await gates.save();
    return new Set();
  }
  // What is past its start deadline takes no gate: the expirer ends it, and has the gate tried again (rule 24).
  const waiters = locked.filter((row) => !isPastDeadline(row, nowUs));
  const turn = decideAll(gates, gateKey, waiters, runnable, leader);
  const unseen = first.length >= MAX_WAITERS && gates.waiting(gateKey) > 0 && turn.admitted.length > 0;
  gates.setTry(gateKey, unseen ? nowUs : turn.roomLeft ? nowUs + RETRY_ADMISSION_US : null);
  await gates.save();
  await updateRows(session, ADMITTED_UPDATE, turn.admitted);
  await updateRows(session, RELABEL_UPDATE, turn.relabelled);
  await cancelOverlapped(session, gates);
  return turn.routes;
}

/** What becomes of the waiters of one turn. */
type Turn = {
  readonly admitted: SqlValue[][];
  readonly relabelled: SqlValue[][];
  readonly routes: Set<RouteId>;
  roomLeft: boolean;
};

function decideAll(
  gates: LockedGates,
  gateKey: string,
  waiters: readonly Row[],
  runnable: ReadonlySet<RouteId>,
  leader: Row | undefined,
): Turn {
  const turn: Turn = { admitted: [], relabelled: [], routes: new Set(), roomLeft: false };
  let isClosed = false;
  for (const row of waiters) {
    const routeId = big(row, "route_id") as RouteId;
    const user = { gateKeys: gateKeysOf(textOrNull(row, "gate_keys")), overlap: overlapOf(int(row, "overlap")) };
    if (!runnable.has(routeId)) {
      // One that goes before all asks what has come in meanwhile to end, once somebody can run it.
      turn.roomLeft ||= gates.hasRoom(user) || row.execution_id === leader?.execution_id;
      continue;
    }
    const blocked: string | null = isClosed ? gateKey : gates.admit(user, gateKey);
    if (blocked === null) {
      turn.admitted.push([text(row, "execution_id"), routeId]);
      turn.routes.add(routeId);
      continue;
    }
    const isBehind = isClosed && gates.hasRoom(user);
    const reason = reasonNumber(isBehind ? "BEHIND_EARLIER" : gates.reason(blocked, user));
    if (blocked !== gateKey || reason !== int(row, "state_reason")) {
      turn.relabelled.push([text(row, "execution_id"), blocked, reason]);
    }
    isClosed ||= row.execution_id === leader?.execution_id && blocked === gateKey;
  }
  return turn;
}

/**
 * True when another one waits to cancel what holds the gate than was read before it was locked: the next turn sees that.
 * While the gate is locked nobody begins to wait there, so that where there is none the gate forgets it.
 */
async function isOtherLed(
  session: SqlSession,
  gates: LockedGates,
  gateKey: string,
  leader: Row | undefined,
  locked: readonly Row[],
): Promise<boolean> {
  if (!gates.cancels(gateKey)) return false;
  if (leader !== undefined) return !locked.some((row) => row.execution_id === leader.execution_id);
  const [now] = await session.query(waitersSql, [gateKey]);
  if (now === undefined) gates.cancelsNoMore(gateKey);
  return now !== undefined;
}

/** The one that goes before all, then the first in the order of the claim, read without a lock by the index. */
async function firstWaiters(session: SqlSession, gateKey: string, leader: Row | undefined): Promise<readonly Row[]> {
  const rows = await session.query(
    `SELECT execution_id, gate_keys, CAST(route_id AS CHAR) AS route_id FROM executions WHERE waiting_gate = ?
      ORDER BY claim_rank, ready_us, execution_id LIMIT ?`,
    [gateKey, MAX_WAITERS],
  );
  return leader === undefined ? rows : [leader, ...rows.filter((row) => row.execution_id !== leader.execution_id)];
}

const WAITER_COLUMNS = `execution_id, state, state_reason, waiting_gate, gate_keys, overlap,
  CAST(route_id AS CHAR) AS route_id, start_deadline_us`;

/** The same rows, locked in the order of their identifiers, those that still wait here, in the order of the claim. */
async function lockWaiters(session: SqlSession, gateKey: string, first: readonly Row[]): Promise<readonly Row[]> {
  const ids = first.map((row) => text(row, "execution_id"));
  const rows = await lockExecutions(session, WAITER_COLUMNS, ids);
  const locked = new Map(rows.map((row) => [text(row, "execution_id"), row]));
  return first.flatMap((row) => {
    const now = locked.get(text(row, "execution_id"));
    const waits = now !== undefined && int(now, "state") === StateNumber.READY && now.waiting_gate === gateKey;
    return waits ? [now] : [];
  });
}
