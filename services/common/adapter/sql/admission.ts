import type { RouteId } from "../../domain/identifier.ts";
import { gateKeysOf, overlapOf, reasonNumber, StateNumber } from "./execution-row.ts";
import { isPastDeadline } from "./expire-time.ts";
import { LockedGates, RETRY_ADMISSION_US } from "./gates.ts";
import { lockExecutions } from "./locked-executions.ts";
import { updateRows } from "./many-rows.ts";
import { runnableRoutes } from "./route-executors.ts";
import { big, int, text, textOrNull } from "./row-reader.ts";
import type { Row, SqlDatabase, SqlSession, SqlValue } from "./session.ts";

/**
 * Rule 7: the admitter. Only it lets waiting executions in: it takes gates
 * whose try_us is due, locks the keys of their first waiters in order, admits
 * in the order of the claim what fits, says of the rest which gate keeps them,
 * and passes over routes that no live executor can run, so that nothing holds a
 * gate that cannot run.
 */

/** Waiters of a gate that one turn looks at. */
const MAX_WAITERS = 100;

/** Takes at most `limit` due gates; answers the routes that got claimable rows. */
export async function admit(db: SqlDatabase, limit: number): Promise<RouteId[]> {
  const keys = await db.read("due_gates", async (session) => {
    const rows = await session.query("SELECT gate_key FROM gates WHERE try_us <= ? ORDER BY try_us LIMIT ?", [
      await session.nowUs(),
      limit,
    ]);
    return rows.map((row) => text(row, "gate_key"));
  });
  const routes = new Set<RouteId>();
  for (const key of keys) {
    for (const routeId of await db.transact("admit", (session) => admitAt(session, key))) routes.add(routeId);
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

async function admitAt(session: SqlSession, gateKey: string): Promise<ReadonlySet<RouteId>> {
  const first = await firstWaiters(session, gateKey);
  const runnable = await runnableRoutes(session, [...new Set(first.map((row) => big(row, "route_id") as RouteId))]);
  const keys = first.flatMap((row) => gateKeysOf(textOrNull(row, "gate_keys")));
  const gates = await LockedGates.lock(session, [gateKey, ...keys]);
  const nowUs = await session.nowUs();
  // What is past its start deadline takes no gate: the expirer ends it, and has the gate tried again (rule 24).
  const waiters = (await lockWaiters(session, gateKey, first)).filter((row) => !isPastDeadline(row, nowUs));
  const admitted: SqlValue[][] = [];
  const relabelled: SqlValue[][] = [];
  const routes = new Set<RouteId>();
  let roomLeft = false;
  for (const row of waiters) {
    const routeId = big(row, "route_id") as RouteId;
    const user = { gateKeys: gateKeysOf(textOrNull(row, "gate_keys")), overlap: overlapOf(int(row, "overlap")) };
    if (!runnable.has(routeId)) {
      roomLeft ||= gates.hasRoom(user);
      continue;
    }
    const blocked = gates.admit(user, gateKey);
    if (blocked === null) {
      admitted.push([text(row, "execution_id"), routeId]);
      routes.add(routeId);
    } else {
      const reason = reasonNumber(gates.reason(blocked, user));
      if (blocked !== gateKey || reason !== int(row, "state_reason")) {
        relabelled.push([text(row, "execution_id"), blocked, reason]);
      }
    }
  }
  const unseen = first.length === MAX_WAITERS && gates.waiting(gateKey) > 0 && admitted.length > 0;
  gates.setTry(gateKey, unseen ? nowUs : roomLeft ? nowUs + RETRY_ADMISSION_US : null);
  await gates.save();
  await updateRows(session, ADMITTED_UPDATE, admitted);
  await updateRows(session, RELABEL_UPDATE, relabelled);
  return routes;
}

/** The first waiters in the order of the claim, read without a lock by the index. */
async function firstWaiters(session: SqlSession, gateKey: string): Promise<readonly Row[]> {
  return await session.query(
    `SELECT execution_id, gate_keys, CAST(route_id AS CHAR) AS route_id FROM executions WHERE waiting_gate = ?
      ORDER BY claim_rank, ready_us, execution_id LIMIT ?`,
    [gateKey, MAX_WAITERS],
  );
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
