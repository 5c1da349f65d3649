import { grpcJson } from "../../client/targets.ts";
import { JobmeshError } from "../../common/error/jobmesh-error.ts";
import { stateOfNumber } from "../../common/wire/execution.ts";
import { failureFromStatus } from "../../common/wire/failure.ts";
import { withConnection } from "../connection.ts";
import { stateWord } from "../shown-execution.ts";

const USAGE = "jobmesh call [options] -- ADDRESS METHOD [JSON]";
/** Exit code of a call that did not succeed. */
const EXIT_FAILED = 1;

/** `jobmesh call -- ADDRESS METHOD JSON`: submits the call, shows its answer, exits with 0 when the server answered OK. */
export function run(argv: readonly string[]): Promise<number> {
  return withConnection(argv, USAGE, async ({ client, rest }) => {
    const [address, method, json = "{}", ...more] = rest;
    if (address === undefined || method === undefined || more.length > 0) {
      throw new JobmeshError("CONFIG_INVALID", { message: `call needs an address and a method: ${USAGE}` });
    }
    const { executionId } = await client.submit({ target: grpcJson(address, method, parsed(json)), name: method });
    process.stderr.write(`jobmesh: execution ${executionId}\n`);
    const execution = await client.waitUntilEnded(executionId);
    const { error, stateMessage, result, resultJson } = execution;
    if (stateOfNumber(execution.state) === "SUCCEEDED") {
      // Without a stored descriptor nobody here can read it: the bytes in base64, as grpcurl shows bytes.
      const shown = resultJson === undefined ? result.toString("base64") : JSON.stringify(resultJson, null, 2);
      process.stdout.write(`${shown}\n`);
      return 0;
    }
    const reason = error === undefined ? "" : failureFromStatus(error).reason;
    const words = [stateWord(execution), reason, error?.message ?? stateMessage];
    process.stderr.write(`jobmesh: ${words.filter((word) => word !== "").join(": ")}\n`);
    return EXIT_FAILED;
  });
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new JobmeshError("CONFIG_INVALID", { message: `the request is no JSON: ${why}`, cause });
  }
}
