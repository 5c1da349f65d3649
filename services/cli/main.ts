#!/usr/bin/env node
import { JobmeshError } from "../common/error/jobmesh-error.ts";
import { COMMANDS, renderUsage } from "./commands.ts";

/** Exit code of a process that could not do what it was asked. */
const EXIT_FAILURE = 1;
/** Exit code of a command line that makes no sense. */
const EXIT_USAGE = 2;

async function main(argv: readonly string[]): Promise<number> {
  const [name = "help", ...rest] = argv;
  if (name === "help" || name === "--help" || name === "-h") {
    process.stdout.write(renderUsage());
    return 0;
  }
  const command = COMMANDS.find((candidate) => candidate.name === name);
  if (command === undefined) {
    process.stderr.write(`jobmesh: there is no command ${JSON.stringify(name)}; jobmesh help lists them\n`);
    return EXIT_USAGE;
  }
  const { run } = await command.load();
  return run(rest);
}

// Whoever reads our output may stop (`jobmesh run … | head`): that ends the process in order, as SIGTERM does.
process.stdout.once("error", () => {
  process.stdout.on("error", () => {});
  process.kill(process.pid, "SIGTERM");
});
try {
  process.exitCode = await main(process.argv.slice(2));
} catch (thrown) {
  const error = JobmeshError.from(thrown);
  // What nobody foresaw shows its cause: there is no log yet that could have it.
  const detail = error.reason === "INTERNAL" && error.cause instanceof Error ? error.cause.stack : error.message;
  process.stderr.write(`jobmesh: ${detail}\n`);
  process.exitCode = EXIT_FAILURE;
}
