import { type CommandTarget, type HandlerTarget, Target as TargetMessage } from "../../../gen/jobmesh/v1/job.ts";
import { MAX_TARGET_BYTES, type Target } from "../../common/domain/target.ts";
import { type FieldFaults, sorted } from "./field-faults.ts";

/** Longest command line, in bytes, as the contract says. */
const MAX_COMMAND_BYTES = 65_535;
/** Longest payload, in bytes, as the contract says. */
const MAX_PAYLOAD_BYTES = 256 * 1024;
/** Longest method name and longest path, in characters. */
export const MAX_METHOD_CHARACTERS = 255;
const MAX_PATH_CHARACTERS = 4_095;
/** Characters of a summary that people see. */
const MAX_SUMMARY_CHARACTERS = 1_024;

/** "package.Service/Method". */
const METHOD_PATTERN = /^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*\/[A-Za-z_][A-Za-z0-9_]*$/;
/** Most arguments of a command. */
const MAX_ARGS = 4_096;
/** Name of a variable of an environment. */
const VARIABLE_PATTERN = /^[A-Za-z_][A-Za-z0-9_]*$/;
/** Variables by which a command learns who it is; what a target gave for them would be lost. */
const OWN_VARIABLE_PATTERN =
  /^(TRACEPARENT|JOBMESH_(EXECUTION_ID|ATTEMPT|MAX_ATTEMPTS|JOB_ID|NAMESPACE|SCHEDULED_TIME|IDEMPOTENCY_KEY|SHARD_INDEX|SHARD_COUNT|PARAMETER_.*|LABEL_.*))$/;
/** Characters of a template that an error shows. */
const MAX_SHOWN_CHARACTERS = 64;

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
      return stored(faults, field, kind.$case, "", commandSummary(kind.value), {
        kind: { $case: "command", value: { ...kind.value, env: sorted(kind.value.env) } },
      });
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
  if (!METHOD_PATTERN.test(handler.method) || handler.method.length > MAX_METHOD_CHARACTERS) {
    const limit = `of at most ${MAX_METHOD_CHARACTERS} characters`;
    faults.add(`${field}.method`, `must be a full method name, "package.Service/Method", ${limit}`);
    return;
  }
  const { payload } = handler;
  if (payload?.$case === "request" && payload.value.length > MAX_PAYLOAD_BYTES) {
    faults.add(`${field}.request`, `must be at most ${MAX_PAYLOAD_BYTES} bytes; was ${payload.value.length}`);
    return;
  }
  if (payload?.$case === "requestJson" && !checkJson(faults, `${field}.request_json`, payload.value)) return;
  await checkPayload(faults, field, handler);
}

/** True when the JSON is not too large; templates in it are noted. */
function checkJson(faults: FieldFaults, field: string, value: unknown): boolean {
  const size = Buffer.byteLength(JSON.stringify(value) ?? "");
  if (size > MAX_PAYLOAD_BYTES) {
    faults.add(field, `must be at most ${MAX_PAYLOAD_BYTES} bytes; was ${size}`);
    return false;
  }
  for (const text of textsOf(value)) refuseTemplate(faults, field, text);
  return true;
}

/** The texts inside of a JSON value, which came over the wire and is at most 50 levels deep. */
function textsOf(value: unknown): readonly string[] {
  if (typeof value === "string") return [value];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(textsOf) : [];
}

/**
 * What later versions fill in would run here as it stands, so it is refused.
 * Searched for without a pattern: a text of braces alone costs one a time that grows with its square.
 */
function refuseTemplate(faults: FieldFaults, field: string, value: string): void {
  const open = value.indexOf("{{");
  const close = open === -1 ? -1 : value.indexOf("}}", open + 2);
  const secret = value.indexOf("${secret:");
  const at = close === -1 ? secret : open;
  const end = close === -1 ? at + MAX_SHOWN_CHARACTERS : close + 2;
  const shown = value.slice(at, Math.min(end, at + MAX_SHOWN_CHARACTERS));
  faults.unsupported(`${field} (the template ${shown})`, at !== -1);
}
