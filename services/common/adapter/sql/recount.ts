import { gateKeysOf } from "./execution-row.ts";
import { LockedGates } from "./gates.ts";
import { int, text } from "./row-reader.ts";
import type { Row, SqlDatabase } from "./session.ts";

/**
 * Rule 7: once a minute the gates are counted again from the executions that
 * hold them and wait at them, each found by an index of its own. What looks
 * wrong is counted once more while the gate is locked, as between two reads an
 * execution may move.
 */

/** What a gate's count was off by: above 0 it had counted too many. */
export type GateDrift = { readonly gateKey: string; readonly drift: number };

/** Recounts all gates and mends those that had drifted. */
export async function recountGates(db: SqlDatabase): Promise<GateDrift[]> {
  const suspects = await db.read("recount_gates", async (session) => {
    const counts = countGates(await session.query(GATE_USERS));
    const gates = await session.query("SELECT gate_key, held, waiting FROM gates");
    const known = new Set(gates.map((row) => text(row, "gate_key")));
    const wrong = gates.filter((row) => {
      const count = counts.get(text(row, "gate_key")) ?? NOBODY;
      return count.held !== int(row, "held") || count.waiting !== int(row, "waiting");
    });
    return [...wrong.map((row) => text(row, "gate_key")), ...[...counts.keys()].filter((key) => !known.has(key))];
  });
  const drifts: GateDrift[] = [];
  for (const gateKey of suspects.sort()) {
    const drift = await db.transact("recount_gate", async (session) => {
      const gates = await LockedGates.lock(session, [gateKey]);
      const { held, waiting } = countGates(await session.query(GATE_USERS)).get(gateKey) ?? NOBODY;
      const off = gates.recount(gateKey, held, waiting);
      await gates.save();
      return off;
    });
    if (drift !== 0) drifts.push({ gateKey, drift });
  }
  return drifts;
}

type GateCount = { held: number; waiting: number };
const NOBODY: Readonly<GateCount> = { held: 0, waiting: 0 };

/** One statement, and so one state of the store. */
const GATE_USERS = `
  SELECT gate_keys, COUNT(*) AS users, 1 AS holds FROM executions WHERE gates_held = 1 GROUP BY gate_keys
  UNION ALL
  SELECT waiting_gate, COUNT(*), 0 FROM executions WHERE waiting_gate IS NOT NULL GROUP BY waiting_gate`;

function countGates(rows: readonly Row[]): Map<string, GateCount> {
  const counts = new Map<string, GateCount>();
  for (const row of rows) {
    for (const key of gateKeysOf(text(row, "gate_keys"))) {
      const count = counts.get(key) ?? { held: 0, waiting: 0 };
      counts.set(key, count);
      if (int(row, "holds") === 1) count.held += int(row, "users");
      else count.waiting += int(row, "users");
    }
  }
  return counts;
}
