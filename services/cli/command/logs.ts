import { ExecutionView } from "../../../gen/jobmesh/v1/execution.ts";
import type { MeshClient } from "../../client/mesh-client.ts";
import { JobmeshError } from "../../common/error/jobmesh-error.ts";
import { SystemClock } from "../../common/runtime/system-clock.ts";
import { stateOfNumber } from "../../common/wire/execution.ts";
import { withConnection } from "../connection.ts";
import { OutageWait } from "../outage-wait.ts";
import { takeFlags, wholeOf } from "../own-flags.ts";
import { progressWords } from "../shown-execution.ts";
import { showLog } from "../shown-log.ts";

const USAGE = `jobmesh logs [options] EXECUTION_ID

  --follow         Goes on over retries, until the execution has ended.
  --tail <lines>   Only the last lines of what is there.
  --attempt <n>    This attempt, with --follow those after it too; the last one where it is not given.`;

/** How far one is that runs, where it says so: apart from what it wrote. */
async function showProgress({ executions }: MeshClient, executionId: string, outage: OutageWait): Promise<void> {
  const request = { executionId, waitUntilEnded: false, view: ExecutionView.EXECUTION_VIEW_BASIC };
  const { execution } = await outage.run(() => executions.getExecution(request));
  if (execution === undefined || stateOfNumber(execution.state) !== "RUNNING") return;
  const words = progressWords(execution);
  if (words !== "") process.stderr.write(`jobmesh: ${words}\n`);
}

/** `jobmesh logs EXECUTION_ID`: shows what an execution wrote, each stream on its own. */
export function run(argv: readonly string[]): Promise<number> {
  const flags = takeFlags({ "--follow": "switch", "--tail": "value", "--attempt": "value" }, argv);
  const [attempt, tailLines] = [wholeOf(flags, "--attempt"), wholeOf(flags, "--tail")];
  return withConnection(flags.rest, USAGE, async ({ client, rest }) => {
    const [executionId, ...more] = rest;
    if (executionId === undefined || more.length > 0) {
      throw new JobmeshError("CONFIG_INVALID", { message: "logs needs one execution: jobmesh logs EXECUTION_ID" });
    }
    const choice = { executionId, attempt, tailLines, untilEnded: flags.given.has("--follow") };
    const outage = new OutageWait(new SystemClock());
    await showLog(client, choice, outage);
    if (!choice.untilEnded) await showProgress(client, executionId, outage);
    return 0;
  });
}
