import { assert } from "../../domain/assert.ts";
import type { NewExecution } from "../../domain/execution.ts";
import type { ExecutionId } from "../../domain/identifier.ts";
import { storedSize } from "../../domain/parameter.ts";
import { startDeadlineUs } from "../../domain/start-deadline.ts";
import type { ClaimedSlot, Submission, SubmitOutcome } from "../../port/store-executions.ts";
import { type Beginning, insertExecutions, type NewRow, newRow } from "./execution-insert.ts";
import { causeHash } from "./execution-labels.ts";
import { type GateDecision, LockedGates } from "./gates.ts";
import { knowAhead } from "./held-fires.ts";
import { cancelOverlapped } from "./overlapped.ts";
import { standingPlacements } from "./placements.ts";
import { isAlike, isWaiting, replaceWaiting } from "./replaced-execution.ts";
import { claimRequests, forgetRequest, type RequestUse, setRequestResult } from "./requests.ts";
import type { SqlSession } from "./session.ts";
import { type Carrier, checkInserted, type Holder, lockHolders, readCarriers } from "./unique-keys.ts";

/**
 * One transaction of rule 5: a group of submissions, all or none. Order of
 * locks (rule 1): executors are read, requests, gates, executions.
 */
export async function storeGroup(session: SqlSession, group: readonly Submission[]): Promise<SubmitOutcome[]> {
  const slots = group.flatMap(({ slot }) => (slot === null ? [] : [slot]));
  const standing = await standingPlacements(session, slots);
  const nowUs = await session.nowUs();
  const settled = new Map(await repeatedOf(session, group));
  const fresh = group.filter((submission) => !settled.has(submission));
  const carriers = await readCarriers(session, fresh);
  const replaced = fresh.flatMap(({ unique }) =>
    unique?.policy === "REPLACE_WAITING" ? (carriers.get(unique.hash) ?? []) : [],
  );
  const ready = fresh.filter(({ execution }) => execution.gateKeys.length > 0 && execution.readyUs <= nowUs);
  const gates = await LockedGates.lock(session, [
    ...ready.flatMap(({ execution }) => execution.gateKeys),
    ...replaced.flatMap(({ gateKeys }) => gateKeys),
  ]);
  await knowAhead(session, gates);
  const holders = await lockHolders(session, replaced);
  const rows = new Map<Submission, NewRow>();
  for (const submission of fresh) {
    const { execution, slot, unique } = submission;
    const carrier = unique == null ? undefined : carriers.get(unique.hash);
    const held = carrier === undefined ? null : await heldOutcome(session, submission, carrier, holders, gates, nowUs);
    if (held !== null) {
      settled.set(submission, held);
      continue;
    }
    const usable = slot !== null && takesSlot(execution, nowUs) && standing.has(slot) ? slot : null;
    rows.set(submission, newRow(execution, beginningOf(execution, usable, gates, nowUs), nowUs, unique?.hash));
  }
  await gates.save();
  await insertExecutions(session, [...rows.values()]);
  await checkInserted(session, [...rows.values()]);
  const calledBack = (await cancelOverlapped(session, gates)) ?? undefined;
  await answerRequests(session, settled);
  return group.map((submission): SubmitOutcome => {
    const row = rows.get(submission);
    if (row !== undefined) {
      const isGated = row.execution.gateKeys.length > 0 && calledBack !== undefined;
      return { kind: "stored", execution: row.execution, ...(isGated ? { calledBack } : {}) };
    }
    const outcome = settled.get(submission);
    assert(outcome !== undefined, "a submission is stored or settled by its request");
    return outcome;
  });
}

/** Submissions in a group that is one statement, and the bytes of their targets: far below what a statement takes. */
const MAX_ONE_STATEMENT_ROWS = 20;
const MAX_ONE_STATEMENT_BYTES = 256 * 1024;

/** True for a group whose only change is one INSERT: no requests, no gates, nothing that labels stand for, few rows. */
export function isOneStatement(group: readonly Submission[]): boolean {
  const bytes = group.reduce((sum, { execution }) => sum + storedSize(execution), 0);
  return (
    group.length <= MAX_ONE_STATEMENT_ROWS &&
    bytes <= MAX_ONE_STATEMENT_BYTES &&
    group.every(
      ({ request, execution, unique }) =>
        request === null && unique == null && execution.gateKeys.length === 0 && !isLabelled(execution),
    )
  );
}

function isLabelled({ labels, cause }: NewExecution): boolean {
  for (const _key in labels) return true;
  return causeHash(cause) !== null;
}

/** How an execution begins that is stored now: waiting for its time, at its gate, claimable, or sent to a slot. */
export function beginningOf(
  execution: NewExecution,
  slot: ClaimedSlot | null,
  gates: LockedGates,
  nowUs: number,
): Beginning {
  const base = { reason: "UNSPECIFIED", message: "", slot: null, gatesHeld: false, blockedKey: null } as const;
  const deadlineUs = startDeadlineUs(execution.policy, execution.readyUs);
  // A fire that comes too late takes no gate and no slot: it waits for its end by the expirer (rule 24).
  const isPast = deadlineUs !== null && deadlineUs < nowUs;
  if (execution.readyUs > nowUs || isPast) return { ...base, state: "SCHEDULED" };
  if (execution.gateKeys.length > 0) return gatedBeginning(gates.decide(execution));
  if (slot !== null) return { ...base, state: "DISPATCHED", slot };
  return { ...base, state: "READY" };
}

function gatedBeginning(decision: GateDecision): Beginning {
  const base = { reason: "UNSPECIFIED", message: "", slot: null, gatesHeld: false, blockedKey: null } as const;
  switch (decision.kind) {
    case "admitted":
      return { ...base, state: "READY", gatesHeld: true };
    case "waits":
      return { ...base, state: "READY", reason: decision.reason, blockedKey: decision.key };
    default:
      return { ...base, state: "SKIPPED", reason: "OVERLAP", message: decision.message };
  }
}

/** What becomes of a submission whose unique_key another one carried when it was read; null when that one has ended. */
async function heldOutcome(
  session: SqlSession,
  { execution, unique }: Submission,
  { executionId }: Carrier,
  holders: ReadonlyMap<ExecutionId, Holder>,
  gates: LockedGates,
  nowUs: number,
): Promise<SubmitOutcome | null> {
  if (unique?.policy === "REJECT") return { kind: "key_taken", executionId };
  if (unique?.policy !== "REPLACE_WAITING") return { kind: "existing", executionId };
  const holder = holders.get(executionId);
  if (holder === undefined) return null;
  if (!isWaiting(holder)) return { kind: "existing", executionId };
  if (!isAlike(holder, execution)) return { kind: "key_taken", executionId };
  const begin = (anew: NewExecution): Beginning => beginningOf(anew, null, gates, nowUs);
  return { kind: "stored", execution: await replaceWaiting(session, holder, execution, gates, begin) };
}

/** A request that another execution answers stands for that one; a refused one takes its request along. */
async function answerRequests(session: SqlSession, settled: ReadonlyMap<Submission, SubmitOutcome>): Promise<void> {
  for (const [{ request, unique }, outcome] of settled) {
    if (request === null || unique == null) continue;
    if (outcome.kind === "stored") await setRequestResult(session, request, outcome.execution.executionId);
    if (outcome.kind === "existing") await setRequestResult(session, request, outcome.executionId);
    if (outcome.kind === "key_taken") await forgetRequest(session, request);
  }
}

/** A direct dispatch is for what is ready and has no gate. */
function takesSlot(execution: NewExecution, nowUs: number): boolean {
  return execution.readyUs <= nowUs && execution.gateKeys.length === 0;
}

/** Submissions whose request was there before, and what they are answered. */
async function repeatedOf(
  session: SqlSession,
  group: readonly Submission[],
): Promise<ReadonlyMap<Submission, SubmitOutcome>> {
  const asking = group.flatMap((submission): { submission: Submission; use: RequestUse }[] => {
    const { request, execution } = submission;
    return request === null ? [] : [{ submission, use: { request, resultId: execution.executionId } }];
  });
  const verdicts = await claimRequests(
    session,
    asking.map(({ use }) => use),
  );
  const settled = new Map<Submission, SubmitOutcome>();
  for (const [index, { submission }] of asking.entries()) {
    const verdict = verdicts[index];
    assert(verdict !== undefined, "each request has a verdict");
    if (verdict.kind === "reused") settled.set(submission, { kind: "request_reused" });
    if (verdict.kind === "repeated") {
      settled.set(submission, { kind: "repeated", executionId: verdict.resultId as ExecutionId });
    }
  }
  return settled;
}
