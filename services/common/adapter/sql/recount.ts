import { gateKeysOf } from "./execution-row.ts";
import { LockedGates } from "./gates.ts";
import { liveExecutions } from "./live-executions.ts";
import { flag, int, text, textOrNull } from "./row-reader.ts";
import type { Row, SqlDatabase } from "./session.ts";

/**
 * Rule 7: once a minute the gates are counted again from the executions that
 * hold them and wait at them. What looks wrong is counted once more while the
 * gate is locked, as between two reads an execution may move.
 */

/** What a gate's count was off by: above 0 it had counted too many. */
export type GateDrift = { readonly gateKey: string; readonly drift: number };

/** Recounts all gates and mends those that had drifted. */
export async function recountGates(db: SqlDatabase): Promise<GateDrift[]> {
  const suspects = await db.read("recount_gates", async (session) => {
    const counts = countGates(await session.query(GATED_LIVE));
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
      const { held, waiting } = countGates(await session.query(GATED_LIVE)).get(gateKey) ?? NOBODY;
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

const GATED_LIVE = liveExecutions("execution_id, gate_keys, gates_held, waiting_gate", "gate_keys IS NOT NULL");

function countGates(rows: readonly Row[]): Map<string, GateCount> {
  const counts = new Map<string, GateCount>();
  const of = (key: string): GateCount => {
    const count = counts.get(key) ?? { held: 0, waiting: 0 };
    counts.set(key, count);
    return count;
  };
  for (const row of rows) {
    if (flag(row, "gates_held")) for (const key of gateKeysOf(textOrNull(row, "gate_keys"))) of(key).held++;
    const waitingGate = textOrNull(row, "waiting_gate");
    if (waitingGate !== null) of(waitingGate).waiting++;
  }
  return counts;
}
