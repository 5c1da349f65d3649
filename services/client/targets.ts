import type { Target } from "../../gen/jobmesh/v1/job.ts";
import type { MethodShape, RequestOf } from "../common/rpc/contract.ts";

/** What a command can be given besides its line. */
export type CommandOptions = {
  /** Arguments; when set, no shell is involved and the line is the program. */
  readonly args?: readonly string[];
  /** Environment added to the executor's allow-listed one. */
  readonly env?: Readonly<Record<string, string>>;
  /** A fresh temporary directory when unset. */
  readonly workingDirectory?: string;
  /** Given on standard input. */
  readonly stdin?: string;
};

/** A command as a target: `command("echo hello")`. */
export function command(line: string, options: CommandOptions = {}): Target {
  const input = options.stdin === undefined ? undefined : ({ $case: "stdinText", value: options.stdin } as const);
  const value = {
    command: line,
    args: [...(options.args ?? [])],
    env: { ...options.env },
    workingDirectory: options.workingDirectory ?? "",
    input,
  };
  return { kind: { $case: "command", value } };
}

/**
 * A typed handler as a target: `handler(ReportServiceService.render, request)`.
 * The request is typed by the method of the ts-proto service definition.
 */
export function handler<M extends MethodShape>(method: M, request: RequestOf<M>): Target {
  const value = Buffer.from(method.requestSerialize(request as never));
  return {
    kind: { $case: "handler", value: { method: method.path.slice(1), payload: { $case: "request", value } } },
  };
}
