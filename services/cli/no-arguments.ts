import { JobmeshError } from "../common/error/jobmesh-error.ts";

/** Refuses arguments that a command does not take: nothing is accepted and ignored. */
export function refuseArguments(command: string, rest: readonly string[]): void {
  if (rest.length === 0) return;
  const message = `${command} takes no arguments, but was given ${JSON.stringify(rest.join(" "))}`;
  throw new JobmeshError("CONFIG_INVALID", { message });
}
