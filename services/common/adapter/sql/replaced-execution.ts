import { assert } from "../../domain/assert.ts";
import type { Execution, NewExecution } from "../../domain/execution.ts";
import { routeIdOf, routeOf, routeText } from "../../domain/route.ts";
import { startDeadlineUs } from "../../domain/start-deadline.ts";
import { storableText } from "../../domain/storable-text.ts";
import { type Beginning, MAX_SUMMARY_CHARS } from "./execution-insert.ts";
import { reasonNumber, shardOf, stateNumber, targetKindNumber } from "./execution-row.ts";
import { parametersText } from "./execution-text.ts";
import { expireUs } from "./expire-time.ts";
import type { LockedGates } from "./gates.ts";
import { insertRoutes } from "./routes.ts";
import type { SqlSession } from "./session.ts";
import type { Holder } from "./unique-keys.ts";
import { noteEnds } from "./unsuccessful-ends.ts";

/**
 * REPLACE_WAITING (rule 5): an execution that waits for its first attempt gets
 * the target, its parameters and the time of a later submission, and keeps all else: its
 * identifier, policy, labels, trace, and its nominal time, which is in the
 * identifier and by which lists are cut. One that is ready stays where it is in
 * its queue while the new time has come too; else it begins anew, and gives back
 * what it held or waited at.
 */

/** True when nothing of it has been tried yet. */
export function isWaiting({ execution }: Holder): boolean {
  return (execution.state === "SCHEDULED" || execution.state === "READY") && execution.attempt === 0;
}

/** True when what waits is of the same job, or of none as well: gates never change, and nobody goes round a limit. */
export function isAlike({ execution: old }: Holder, by: NewExecution): boolean {
  return old.jobUid === by.jobUid && old.gateKeys.join("\n") === by.gateKeys.join("\n");
}

/** How one begins that is ready at once or later; see beginningOf of submit-group. */
type Begin = (execution: NewExecution) => Beginning;

/** Gives a waiting execution that this transaction has locked, with its gates, the target and time of another one. */
export async function replaceWaiting(
  session: SqlSession,
  { execution: old, holdsGates }: Holder,
  by: NewExecution,
  gates: LockedGates,
  begin: Begin,
): Promise<Execution> {
  const nowUs = await session.nowUs();
  const target = { ...by.target, summary: storableText(by.target.summary, MAX_SUMMARY_CHARS) };
  const route = routeText(routeOf({ ...old, target }));
  const isStill = old.state === "READY" && by.readyUs <= nowUs;
  const readyUs = isStill ? (old.readyUs ?? by.readyUs) : by.readyUs;
  const parts = { target, parameters: by.parameters ?? null, routeId: routeIdOf(route), readyUs };
  let beginning: Pick<Beginning, "state" | "reason" | "message" | "gatesHeld" | "blockedKey">;
  if (isStill) {
    const { stateReason: reason, stateMessage: message, blockedKey } = old;
    beginning = { state: "READY", reason, message, gatesHeld: holdsGates, blockedKey };
  } else {
    if (holdsGates) gates.give(old.gateKeys);
    if (old.blockedKey !== null) gates.leave(old.blockedKey);
    beginning = begin({ ...old, ...parts });
  }
  // Where the routes are the same the submitter has ensured it.
  if (parts.routeId !== by.routeId) {
    await insertRoutes(session, [route]);
  }
  const endedUs = beginning.state === "SKIPPED" ? nowUs : null;
  const deadlineUs = endedUs === null ? startDeadlineUs(old.policy, Math.max(readyUs, by.readyUs)) : null;
  const isClaimable = beginning.state === "READY" && beginning.blockedKey === null;
  const changed = await session.execute(
    `UPDATE executions SET target_kind = ?, target_method = ?, target_summary = ?, target = ?, parameters = ?, route_id = ?,
      claim_route = ?, ready_us = ?, state = ?, state_reason = ?, state_message = ?, timer_shard = ?,
      gates_held = ?, waiting_gate = ?, start_deadline_us = ?, ended_us = ?, expire_us = ?,
      live_unique_key = CASE WHEN ? THEN live_unique_key ELSE NULL END, change_number = change_number + 1
      WHERE execution_id = ?`,
    [
      targetKindNumber(target.kind),
      target.method,
      target.summary,
      target.bytes,
      parametersText(parts.parameters),
      parts.routeId,
      isClaimable ? parts.routeId : null,
      readyUs,
      stateNumber(beginning.state),
      reasonNumber(beginning.reason),
      beginning.message,
      beginning.state === "SCHEDULED" ? shardOf(old.executionId) : null,
      beginning.gatesHeld ? 1 : null,
      beginning.blockedKey,
      deadlineUs,
      endedUs,
      expireUs(old.policy, false, endedUs),
      endedUs === null ? 1 : 0,
      old.executionId,
    ],
  );
  assert(changed === 1, "a locked execution is there");
  if (endedUs !== null) await noteEnds(session, [old.executionId]);
  return {
    ...old,
    ...parts,
    state: beginning.state,
    stateReason: beginning.reason,
    stateMessage: beginning.message,
    blockedKey: beginning.blockedKey,
    startDeadlineUs: deadlineUs,
    endedUs,
    changeNumber: old.changeNumber + 1,
  };
}
