import { RenderRequest, ReportServiceService } from "../../examples/report/gen/acme/report/v1/report_service.ts";
import { ExecutionState } from "../../gen/jobmesh/v1/execution.ts";
import { SubmitExecutionRequest } from "../../gen/jobmesh/v1/execution_service.ts";
import { ExecutionPolicy, LostPolicy, type Target } from "../../gen/jobmesh/v1/job.ts";
import { command, grpc, handler, http } from "../../services/client/targets.ts";
import type { TruthTargets } from "./truth-target.ts";

/** A kind of work, with what it must come to. */
export type WorkKind =
  | "command"
  | "handler"
  | "http"
  | "grpc"
  | "command that fails"
  | "command that succeeds at its second attempt"
  | "handler that succeeds at its second attempt"
  | "command that runs into its timeout"
  | "handler that runs into its timeout"
  | "handler that is cancelled"
  | "command that is cancelled"
  | "slow command under FAIL"
  | "slow handler under FAIL"
  | "long handler"
  | "long handler under FAIL";

/** One submission of mixed work. */
export type WorkItem = { readonly kind: WorkKind; readonly request: SubmitExecutionRequest };

/** Priority of long work: what a loss sends back waits behind nothing. */
const FIRST = 10;
/** How long what is cancelled would run. */
const LONG_MS = 60_000;

/** States that a kind may end in; LOST only where the policy is FAIL and an executor was killed. */
export function allowedStates(kind: WorkKind): readonly ExecutionState[] {
  switch (kind) {
    case "command that fails":
      return [ExecutionState.EXECUTION_STATE_FAILED];
    case "command that runs into its timeout":
    case "handler that runs into its timeout":
      return [ExecutionState.EXECUTION_STATE_TIMED_OUT];
    case "handler that is cancelled":
    case "command that is cancelled":
      return [ExecutionState.EXECUTION_STATE_CANCELLED];
    case "slow command under FAIL":
    case "slow handler under FAIL":
    case "long handler under FAIL":
      return [ExecutionState.EXECUTION_STATE_SUCCEEDED, ExecutionState.EXECUTION_STATE_LOST];
    default:
      return [ExecutionState.EXECUTION_STATE_SUCCEEDED];
  }
}

/** True for work that the test cancels while it runs or waits. */
export function isCancelled(kind: WorkKind): boolean {
  return kind === "handler that is cancelled" || kind === "command that is cancelled";
}

/** How many of a hundred submissions are of each kind. */
export type WorkShares = Readonly<Partial<Record<WorkKind, number>>>;

/** The shares of work that needs no server of the test's own. */
const PLAIN_SHARES: WorkShares = {
  command: 26,
  handler: 54,
  "command that fails": 3,
  "command that succeeds at its second attempt": 3,
  "handler that succeeds at its second attempt": 4,
  "command that runs into its timeout": 1,
  "handler that is cancelled": 1,
  "command that is cancelled": 1,
  "slow command under FAIL": 3,
  "slow handler under FAIL": 4,
};

/** What mixed work is made of besides its number and its outside record. */
export type MixedWorkOptions = {
  readonly shares?: WorkShares;
  /** Where http and grpc work goes. */
  readonly targets?: TruthTargets;
  /** Begins each request_id: work of two calls is apart by it; default "work". */
  readonly prefix?: string;
};

/** Makes `count` submissions, each kind with its share, in a fixed shuffle; all write their truth to one file. */
export function mixedWork(count: number, truthPath: string, options: MixedWorkOptions = {}): readonly WorkItem[] {
  const { shares = PLAIN_SHARES, targets = { url: "", grpcAddress: "" }, prefix = "work" } = options;
  const kinds = Object.entries(shares).flatMap(([kind, share]) => Array<WorkKind>(share).fill(kind as WorkKind));
  const items: WorkItem[] = [];
  for (let number = 0; number < count; number += 1) {
    // 7,919 is prime: every place of the hundred comes, far from its neighbours.
    const kind = kinds[(number * 7_919) % kinds.length] ?? "handler";
    items.push({ kind, request: requestOf(kind, `${prefix}-${number}`, { truthPath, targets }) });
  }
  return items;
}

type Places = { readonly truthPath: string; readonly targets: TruthTargets };

function requestOf(kind: WorkKind, requestId: string, places: Places): SubmitExecutionRequest {
  return SubmitExecutionRequest.fromPartial({
    target: targetOf(kind, places),
    policy: policyOf(kind),
    requestId,
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
    case "handler that runs into its timeout":
      return ExecutionPolicy.fromPartial({ timeout: { seconds: 0n, nanos: 300_000_000 } });
    case "slow command under FAIL":
    case "slow handler under FAIL":
      return ExecutionPolicy.fromPartial({ lostPolicy: LostPolicy.LOST_POLICY_FAIL });
    case "long handler":
      return ExecutionPolicy.fromPartial({ priority: FIRST });
    case "long handler under FAIL":
      return ExecutionPolicy.fromPartial({ priority: FIRST, lostPolicy: LostPolicy.LOST_POLICY_FAIL });
    default:
      return ExecutionPolicy.fromPartial({});
  }
}

function targetOf(kind: WorkKind, { truthPath, targets }: Places): Target {
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
    case "http":
      return http(`${targets.url}/`, { json: {} });
    case "grpc":
      return grpc(targets.grpcAddress, ReportServiceService.render, RenderRequest.fromPartial({}));
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
    case "handler that runs into its timeout":
      return runs(LONG_MS, 0);
    case "slow command under FAIL":
      return says("sleep 0.2");
    case "slow handler under FAIL":
      return runs(200, 0);
    case "long handler":
    case "long handler under FAIL":
      return runs(1_000, 0);
  }
}

/** One line, appended in one write. */
function note(word: string): string {
  return `printf '%s %s ${word}\\n' "$JOBMESH_EXECUTION_ID" "$JOBMESH_ATTEMPT" >> "$TRUTH"`;
}
