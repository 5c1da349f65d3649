import { JobmeshError } from "../../common/error/jobmesh-error.ts";
import { SystemClock } from "../../common/runtime/system-clock.ts";
import { withConnection } from "../connection.ts";
import { OutageWait } from "../outage-wait.ts";
import { takeFlags, wholeOf } from "../own-flags.ts";
import { showLog } from "../shown-log.ts";

const USAGE = `jobmesh logs [options] EXECUTION_ID

  --follow         Goes on over retries, until the execution has ended.
  --tail <lines>   Only the last lines of what is there.
  --attempt <n>    This attempt, with --follow those after it too; the last one where it is not given.`;

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
    await showLog(client, choice, new OutageWait(new SystemClock()));
    return 0;
  });
}
