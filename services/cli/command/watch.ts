import type { Execution, ExecutionState } from "../../../gen/jobmesh/v1/execution.ts";
import { ListExecutionsRequest } from "../../../gen/jobmesh/v1/execution_service.ts";
import { EXECUTION_STATES, isFinal } from "../../common/domain/execution.ts";
import { JobmeshError } from "../../common/error/jobmesh-error.ts";
import { stateNumber, stateOfNumber } from "../../common/wire/execution.ts";
import { withConnection } from "../connection.ts";
import { takeFlags } from "../own-flags.ts";
import { stateWord } from "../shown-execution.ts";

const USAGE = `jobmesh watch [options] [EXECUTION_ID]

Shows each execution as it ends, one a line, until it is interrupted; of one
execution each state that is seen, until it has ended.

  --namespace <name>   Of this namespace, or - for all; default where it is not given.
  --job <id>           Of this job.
  --state <state>      In this state, such as FAILED.`;

/** `jobmesh watch [EXECUTION_ID]`: shows changes, over schedulers that come and go. */
export function run(argv: readonly string[]): Promise<number> {
  const flags = takeFlags({ "--namespace": "value", "--job": "value", "--state": "value" }, argv);
  const states = readState(flags.given.get("--state"));
  return withConnection(flags.rest, USAGE, async ({ client, rest }) => {
    const [executionId = "", ...more] = rest;
    if (more.length > 0) {
      throw new JobmeshError("CONFIG_INVALID", { message: "watch takes one execution: jobmesh watch EXECUTION_ID" });
    }
    const filter = { namespace: flags.given.get("--namespace") ?? "", jobId: flags.given.get("--job") ?? "", states };
    let resumeToken = "";
    if (executionId === "") {
      const list = ListExecutionsRequest.fromPartial({ filter, pageSize: 1 });
      ({ resumeToken } = await client.executions.listExecutions(list));
      process.stderr.write("jobmesh: watches what ends from now on\n");
    }
    let last: Execution | undefined;
    for await (const { execution } of client.watch({ executionId, filter, resumeToken })) {
      if (execution === undefined || !isShown(execution, executionId)) continue;
      process.stdout.write(`${lineOf(execution)}\n`);
      last = execution;
    }
    return last !== undefined && stateWord(last) === "SUCCEEDED" ? 0 : 1;
  });
}

/** Of many executions their ends: states in between are seen or not. */
function isShown({ state }: Execution, executionId: string): boolean {
  const named = stateOfNumber(state);
  return executionId !== "" || (named !== null && isFinal(named));
}

function lineOf(execution: Execution): string {
  const { executionId, jobId, name, error, stateMessage } = execution;
  const words = error?.message || stateMessage;
  return [stateWord(execution).padEnd(10), executionId, jobId || name || "-", words.replace(/\s+/g, " ")]
    .join("  ")
    .trimEnd();
}

function readState(word: string | undefined): ExecutionState[] {
  if (word === undefined) return [];
  const named = EXECUTION_STATES.find((state) => state === word.toUpperCase());
  if (named !== undefined && named !== "UNSPECIFIED") return [stateNumber(named)];
  const description = `must be one of ${EXECUTION_STATES.slice(1).join(", ")}`;
  throw new JobmeshError("CONFIG_INVALID", { fieldViolations: [{ field: "--state", description }] });
}
