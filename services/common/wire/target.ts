import { Target as TargetMessage } from "../../../gen/jobmesh/v1/job.ts";
import type { Target } from "../domain/target.ts";

/** A stored target in full. */
export function targetToMessage(target: Target): TargetMessage {
  return TargetMessage.decode(target.bytes);
}

/** A stored target without payloads, env and headers, as BASIC views show it. */
export function targetToBasicMessage(target: Target): TargetMessage {
  switch (target.kind) {
    case "command":
      return {
        kind: {
          $case: "command",
          value: { command: target.summary, args: [], env: {}, workingDirectory: "", input: undefined },
        },
      };
    case "handler":
      return { kind: { $case: "handler", value: { method: target.method, payload: undefined } } };
    case "grpc":
      return {
        kind: {
          $case: "grpc",
          value: { address: "", method: target.summary, payload: undefined, metadata: {}, tls: undefined },
        },
      };
    case "http":
      return { kind: { $case: "http", value: { url: target.summary, method: "", headers: {}, content: undefined } } };
  }
}
