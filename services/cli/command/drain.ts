import { DrainExecutorRequest } from "../../../gen/jobmesh/v1/mesh_service.ts";
import { JobmeshError } from "../../common/error/jobmesh-error.ts";
import { durationOfMs } from "../../common/wire/time.ts";
import { withConnection } from "../connection.ts";
import { takeFlags, wholeOf } from "../own-flags.ts";

const USAGE = `jobmesh drain [options] EXECUTOR_ID

  --grace <seconds>   What still runs then is cut off and runs again elsewhere; 3600 where it is not given.`;

/** `jobmesh drain EXECUTOR_ID`: asks an executor to take no more work and to leave; does not wait until it has left. */
export function run(argv: readonly string[]): Promise<number> {
  const flags = takeFlags({ "--grace": "value" }, argv);
  const grace = flags.given.has("--grace") ? durationOfMs(wholeOf(flags, "--grace") * 1_000) : undefined;
  return withConnection(flags.rest, USAGE, async ({ client, rest }) => {
    const [executorId, ...more] = rest;
    if (executorId === undefined || more.length > 0) {
      throw new JobmeshError("CONFIG_INVALID", { message: "drain needs one executor: jobmesh drain EXECUTOR_ID" });
    }
    const { executor } = await client.mesh.drainExecutor(DrainExecutorRequest.fromPartial({ executorId, grace }));
    process.stdout.write(`${executorId} drains; it runs ${executor?.runningCount ?? 0} of ${executor?.slots ?? 0}\n`);
    return 0;
  });
}
