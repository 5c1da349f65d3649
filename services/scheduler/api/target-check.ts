import { type CommandTarget, type HandlerTarget, Target as TargetMessage } from "../../../gen/jobmesh/v1/job.ts";
import { MAX_TARGET_BYTES, type Target } from "../../common/domain/target.ts";
import type { FieldFaults } from "./field-faults.ts";

/** Longest command line, in bytes, as the contract says. */
const MAX_COMMAND_BYTES = 65_535;
/** Longest payload, in bytes, as the contract says. */
const MAX_PAYLOAD_BYTES = 256 * 1024;
/** Characters of a summary that people see. */
const MAX_SUMMARY_CHARACTERS = 1_024;

/** "package.Service/Method". */
const METHOD_PATTERN = /^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*\/[A-Za-z_][A-Za-z0-9_]*$/;
/** What later versions fill in; here it would run as it stands, so it is refused. */
const TEMPLATE_PATTERN = /\{\{.*?\}\}|\$\{secret:/s;

/** Checks a handler's payload against its descriptor; notes what does not fit. */
export type PayloadCheck = (faults: FieldFaults, field: string, target: HandlerTarget) => Promise<void>;

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
      return stored(faults, field, kind.$case, "", commandSummary(kind.value), { kind });
    case "handler":
      await checkHandler(faults, `${field}.handler`, kind.value, checkPayload);
      return stored(faults, field, kind.$case, kind.value.method, kind.value.method, { kind });
    case "grpc":
    case "http":
      faults.unsupported(`${field}.${kind.$case}`, true);
      return null;
    default:
      faults.add(field, "must have a command or a handler");
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
  if (length > MAX_COMMAND_BYTES)
    faults.add(`${field}.command`, `must be at most ${MAX_COMMAND_BYTES} bytes; was ${length}`);
  if (command.command.includes("\0")) faults.add(`${field}.command`, "must not hold NUL");
  if (command.args.length > 4_096) faults.add(`${field}.args`, `must be at most 4,096; was ${command.args.length}`);
  command.args.forEach((arg, index) => {
    if (arg.includes("\0")) faults.add(`${field}.args[${index}]`, "must not hold NUL");
    refuseTemplate(faults, `${field}.args[${index}]`, arg);
  });
  for (const [name, value] of Object.entries(command.env)) {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
      faults.add(`${field}.env[${JSON.stringify(name.slice(0, 64))}]`, "name must be [A-Za-z_][A-Za-z0-9_]*");
    }
    if (value.includes("\0")) faults.add(`${field}.env[${name}]`, "must not hold NUL");
    refuseTemplate(faults, `${field}.env[${name}]`, value);
  }
  if (command.workingDirectory !== "" && !command.workingDirectory.startsWith("/")) {
    faults.add(`${field}.working_directory`, "must be an absolute path");
  }
  const input = command.input;
  const size = input === undefined ? 0 : Buffer.byteLength(input.value);
  if (size > MAX_PAYLOAD_BYTES) {
    const name = input?.$case === "stdin" ? "stdin" : "stdin_text";
    faults.add(`${field}.${name}`, `must be at most ${MAX_PAYLOAD_BYTES} bytes; was ${size}`);
  }
}

async function checkHandler(
  faults: FieldFaults,
  field: string,
  handler: HandlerTarget,
  checkPayload: PayloadCheck,
): Promise<void> {
  if (!METHOD_PATTERN.test(handler.method) || handler.method.length > 255) {
    faults.add(`${field}.method`, 'must be a full method name, "package.Service/Method", of at most 255 characters');
    return;
  }
  const { payload } = handler;
  const size = payload?.$case === "request" ? payload.value.length : jsonSize(payload?.value);
  if (size > MAX_PAYLOAD_BYTES) {
    const name = payload?.$case === "request" ? "request" : "request_json";
    faults.add(`${field}.${name}`, `must be at most ${MAX_PAYLOAD_BYTES} bytes; was ${size}`);
    return;
  }
  if (payload?.$case === "requestJson")
    refuseTemplate(faults, `${field}.request_json`, JSON.stringify(payload.value) ?? "");
  await checkPayload(faults, field, handler);
}

function jsonSize(value: unknown): number {
  return value === undefined ? 0 : Buffer.byteLength(JSON.stringify(value));
}

function refuseTemplate(faults: FieldFaults, field: string, value: string): void {
  const found = TEMPLATE_PATTERN.exec(value);
  faults.unsupported(`${field} (the template ${found?.[0].slice(0, 64)})`, found !== null);
}
