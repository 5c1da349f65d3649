import { command } from "../../client/targets.ts";
import { JobmeshError } from "../../common/error/jobmesh-error.ts";
import { withConnection } from "../connection.ts";
import { MAX_NAME_CHARACTERS, showExecution } from "../shown-execution.ts";

/** `jobmesh run -- COMMAND`: submits, shows the output as it is written, exits as the command did. */
export function run(argv: readonly string[]): Promise<number> {
  return withConnection(argv, "jobmesh run [options] -- COMMAND [ARGUMENT …]", async ({ client, rest }) => {
    const [program, ...args] = rest;
    if (program === undefined) {
      throw new JobmeshError("CONFIG_INVALID", { message: "run needs a command: jobmesh run -- COMMAND" });
    }
    // One word is a line for the shell, as with ssh; more words are a program and its arguments.
    const target = args.length === 0 ? command(program) : command(program, { args });
    const { executionId } = await client.submit({ target, name: rest.join(" ").slice(0, MAX_NAME_CHARACTERS) });
    return showExecution(client, executionId);
  });
}
