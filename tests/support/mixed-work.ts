import { RenderRequest, ReportServiceService } from "../../examples/report/gen/acme/report/v1/report_service.ts";
import { ExecutionState } from "../../gen/jobmesh/v1/execution.ts";
import { SubmitExecutionRequest } from "../../gen/jobmesh/v1/execution_service.ts";
import { ExecutionPolicy, LostPolicy, type Target } from "../../gen/jobmesh/v1/job.ts";
import { command, handler } from "../../services/client/targets.ts";

/** A kind of work, with what it must come to. */
export type WorkKind =
  | "command"
  | "handler"
  | "command that fails"
  | "command that succeeds at its second attempt"
  | "handler that succeeds at its second attempt"
  | "command that runs into its timeout"
  | "handler that is cancelled"
  | "command that is cancelled"
  | "slow command under FAIL"
  | "slow handler under FAIL";

/** One submission of mixed work. */
export type WorkItem = { readonly kind: WorkKind; readonly request: SubmitExecutionRequest };

/** How long what is cancelled would run. */
const LONG_MS = 60_000;

/** States that a kind may end in; LOST only where the policy is FAIL and an executor was killed. */
export function allowedStates(kind: WorkKind): readonly ExecutionState[] {
  switch (kind) {
    case "command that fails":
      return [ExecutionState.EXECUTION_STATE_FAILED];
    case "command that runs into its timeout":
      return [ExecutionState.EXECUTION_STATE_TIMED_OUT];
    case "handler that is cancelled":
    case "command that is cancelled":
      return [ExecutionState.EXECUTION_STATE_CANCELLED];
    case "slow command under FAIL":
    case "slow handler under FAIL":
      return [ExecutionState.EXECUTION_STATE_SUCCEEDED, ExecutionState.EXECUTION_STATE_LOST];
    default:
      return [ExecutionState.EXECUTION_STATE_SUCCEEDED];
  }
}

/** True for work that the test cancels while it runs or waits. */
export function isCancelled(kind: WorkKind): boolean {
  return kind === "handler that is cancelled" || kind === "command that is cancelled";
}

/** Makes `count` submissions, each kind with its share, in a fixed shuffle; all write their truth to one file. */
export function mixedWork(count: number, truthPath: string): readonly WorkItem[] {
  const items: WorkItem[] = [];
  for (let number = 0; number < count; number += 1) {
    // 7,919 is prime: every place of the hundred comes, far from its neighbours.
    const kind = kindOf((number * 7_919) % 100);
    items.push({ kind, request: requestOf(kind, number, truthPath) });
  }
  return items;
}

function kindOf(place: number): WorkKind {
  if (place < 26) return "command";
  if (place < 80) return "handler";
  if (place < 83) return "command that fails";
  if (place < 86) return "command that succeeds at its second attempt";
  if (place < 90) return "handler that succeeds at its second attempt";
  if (place < 91) return "command that runs into its timeout";
  if (place < 92) return "handler that is cancelled";
  if (place < 93) return "command that is cancelled";
  if (place < 96) return "slow command under FAIL";
  return "slow handler under FAIL";
}

function requestOf(kind: WorkKind, number: number, truthPath: string): SubmitExecutionRequest {
  return SubmitExecutionRequest.fromPartial({
    target: targetOf(kind, truthPath),
    policy: policyOf(kind),
    requestId: `work-${number}`,
    name: kind,
  });
}

function policyOf(kind: WorkKind): ExecutionPolicy {
  const retry = { maxAttempts: 3, initialInterval: { seconds: 0n, nanos: 50_000_000 } };
  switch (kind) {
    case "command that fails":
      return ExecutionPolicy.fromPartial({ retry: { ...retry, maxAttempts: 2 } });
    case "command that succeeds at its second attempt":
    case "handler that succeeds at its second attempt":
      return ExecutionPolicy.fromPartial({ retry });
    case "command that runs into its timeout":
      return ExecutionPolicy.fromPartial({ timeout: { seconds: 0n, nanos: 300_000_000 } });
    case "slow command under FAIL":
    case "slow handler under FAIL":
      return ExecutionPolicy.fromPartial({ lostPolicy: LostPolicy.LOST_POLICY_FAIL });
    default:
      return ExecutionPolicy.fromPartial({});
  }
}

function targetOf(kind: WorkKind, truthPath: string): Target {
  const runs = (ms: number, failUntil: number): Target =>
    handler(
      ReportServiceService.render,
      RenderRequest.fromPartial({
        title: truthPath,
        rows: [
          { name: "ms", amount: BigInt(ms) },
          { name: "fail_until", amount: BigInt(failUntil) },
        ],
      }),
    );
  const says = (rest: string): Target =>
    command(`${note("start")}; ${rest === "" ? "" : `${rest}; `}code=$?; ${note("end")}; exit $code`, {
      env: { TRUTH: truthPath },
    });
  switch (kind) {
    case "command":
      return says("true");
    case "handler":
      return runs(0, 0);
    case "command that fails":
      return says("(exit 3)");
    case "command that succeeds at its second attempt":
      return says('[ "$JOBMESH_ATTEMPT" -ge 2 ]');
    case "handler that succeeds at its second attempt":
      return runs(0, 2);
    case "command that runs into its timeout":
    case "command that is cancelled":
      return says(`sleep ${LONG_MS / 1000}`);
    case "handler that is cancelled":
      return runs(LONG_MS, 0);
    case "slow command under FAIL":
      return says("sleep 0.2");
    case "slow handler under FAIL":
      return runs(200, 0);
  }
}

/** One line, appended in one write. */
function note(word: string): string {
  return `printf '%s %s ${word}\\n' "$JOBMESH_EXECUTION_ID" "$JOBMESH_ATTEMPT" >> "$TRUTH"`;
}
