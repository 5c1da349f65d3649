import { type CommandTarget, type HandlerTarget, Target as TargetMessage } from "../../../gen/jobmesh/v1/job.ts";
import { MAX_TARGET_BYTES, type Target } from "../../common/domain/target.ts";
import { type FieldFaults, sorted } from "./field-faults.ts";
import { checkGrpc } from "./grpc-target-check.ts";
import { checkHttp, orderedHttp } from "./http-target-check.ts";
import { checkMethod } from "./method-check.ts";
import type { PayloadCheck } from "./payload-check.ts";
import { checkJson, MAX_PAYLOAD_BYTES, refuseTemplate } from "./template-check.ts";

export type { PayloadCheck };

/** Longest command line, in bytes, as the contract says. */
const MAX_COMMAND_BYTES = 65_535;
/** Longest path, in characters. */
const MAX_PATH_CHARACTERS = 4_095;
/** Characters of a summary that people see. */
const MAX_SUMMARY_CHARACTERS = 1_024;

/** Most arguments of a command. */
const MAX_ARGS = 4_096;
/** Name of a variable of an environment. */
const VARIABLE_PATTERN = /^[A-Za-z_][A-Za-z0-9_]*$/;
/** Variables by which a command learns who it is; what a target gave for them would be lost. */
const OWN_VARIABLE_PATTERN =
  /^(TRACEPARENT|JOBMESH_(EXECUTION_ID|ATTEMPT|MAX_ATTEMPTS|JOB_ID|NAMESPACE|SCHEDULED_TIME|IDEMPOTENCY_KEY|SHARD_INDEX|SHARD_COUNT|PARAMETER_.*|LABEL_.*))$/;

/** Checks a target and makes the stored one. null when it cannot be made; the faults say why. */
export async function checkTarget(
  faults: FieldFaults,
  field: string,
  message: TargetMessage | undefined,
  checkPayload: PayloadCheck,
): Promise<Target | null> {
  const kind = message?.kind;
  switch (kind?.$case) {
    case "command":
      checkCommand(faults, `${field}.command`, kind.value);
      return stored(faults, field, kind.$case, "", commandSummary(kind.value), {
        kind: { $case: "command", value: { ...kind.value, env: sorted(kind.value.env) } },
      });
    case "handler":
      await checkHandler(faults, `${field}.handler`, kind.value, checkPayload);
      return stored(faults, field, kind.$case, kind.value.method, kind.value.method, { kind });
    case "grpc": {
      const value = await checkGrpc(faults, `${field}.grpc`, kind.value, checkPayload);
      return stored(faults, field, kind.$case, "", value.method, { kind: { $case: "grpc", value } });
    }
    case "http":
      checkHttp(faults, `${field}.http`, kind.value);
      return stored(faults, field, kind.$case, "", kind.value.url, {
        kind: { $case: "http", value: orderedHttp(kind.value) },
      });
    default:
      faults.add(field, "must have a kind: command, handler, grpc or http");
      return null;
  }
}

function stored(
  faults: FieldFaults,
  field: string,
  kind: Target["kind"],
  method: string,
  summary: string,
  message: TargetMessage,
): Target {
  const bytes = TargetMessage.encode(message).finish();
  if (bytes.length > MAX_TARGET_BYTES) {
    faults.add(field, `must be at most ${MAX_TARGET_BYTES} bytes when serialized; was ${bytes.length}`);
  }
  return { kind, method, summary: summary.slice(0, MAX_SUMMARY_CHARACTERS).toWellFormed(), bytes };
}

function commandSummary(command: CommandTarget): string {
  return [command.command, ...command.args].join(" ");
}

function checkCommand(faults: FieldFaults, field: string, command: CommandTarget): void {
  const length = Buffer.byteLength(command.command);
  if (length === 0) faults.add(`${field}.command`, "must not be empty");
  if (length > MAX_COMMAND_BYTES) {
    faults.add(`${field}.command`, `must be at most ${MAX_COMMAND_BYTES} bytes; was ${length}`);
  }
  faults.plain(`${field}.command`, command.command);
  if (command.args.length > MAX_ARGS) {
    faults.add(`${field}.args`, `must be at most ${MAX_ARGS}; was ${command.args.length}`);
  }
  command.args.forEach((arg, index) => {
    faults.plain(`${field}.args[${index}]`, arg);
    refuseTemplate(faults, `${field}.args[${index}]`, arg);
  });
  for (const [name, value] of Object.entries(command.env)) {
    const place = `${field}.env[${JSON.stringify(name.slice(0, 64))}]`;
    if (!VARIABLE_PATTERN.test(name)) faults.add(place, "name must be [A-Za-z_][A-Za-z0-9_]*");
    if (OWN_VARIABLE_PATTERN.test(name)) faults.add(place, "is a variable that jobmesh sets itself");
    faults.plain(place, value);
    refuseTemplate(faults, place, value);
  }
  if (command.workingDirectory !== "" && !command.workingDirectory.startsWith("/")) {
    faults.add(`${field}.working_directory`, "must be an absolute path");
  }
  faults.text(`${field}.working_directory`, command.workingDirectory, MAX_PATH_CHARACTERS);
  checkInput(faults, field, command.input);
}

function checkInput(faults: FieldFaults, field: string, input: CommandTarget["input"]): void {
  if (input === undefined) return;
  const place = `${field}.${input.$case === "stdin" ? "stdin" : "stdin_text"}`;
  const size = Buffer.byteLength(input.value);
  if (size > MAX_PAYLOAD_BYTES) faults.add(place, `must be at most ${MAX_PAYLOAD_BYTES} bytes; was ${size}`);
  if (input.$case === "stdinText" && !input.value.isWellFormed()) faults.add(place, "must be well-formed Unicode");
}

async function checkHandler(
  faults: FieldFaults,
  field: string,
  handler: HandlerTarget,
  checkPayload: PayloadCheck,
): Promise<void> {
  if (!checkMethod(faults, `${field}.method`, handler.method)) return;
  const { payload } = handler;
  if (payload?.$case === "request" && payload.value.length > MAX_PAYLOAD_BYTES) {
    faults.add(`${field}.request`, `must be at most ${MAX_PAYLOAD_BYTES} bytes; was ${payload.value.length}`);
    return;
  }
  if (payload?.$case === "requestJson" && !checkJson(faults, `${field}.request_json`, payload.value)) return;
  await checkPayload.handler(faults, field, handler);
}
