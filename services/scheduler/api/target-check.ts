import {
  type CommandTarget,
  type GrpcTarget,
  type HandlerTarget,
  Target as TargetMessage,
} from "../../../gen/jobmesh/v1/job.ts";
import { MAX_TARGET_BYTES, type Target } from "../../common/domain/target.ts";
import { type FieldFaults, sorted } from "./field-faults.ts";
import { checkGrpc } from "./grpc-target-check.ts";
import { checkHttp } from "./http-target-check.ts";
import { checkMethod } from "./method-check.ts";
import type { PayloadCheck, PayloadChecks } from "./payload-check.ts";
import { checkJson, MAX_PAYLOAD_BYTES, sampleTarget, type TemplateScope } from "./template-check.ts";

export type { PayloadCheck, PayloadChecks };

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

/**
 * Checks a target, with its templates filled in by what is known of them, and makes the stored one, which holds them
 * as they were given. null when it cannot be made; the faults say why.
 */
export async function checkTarget(
  faults: FieldFaults,
  field: string,
  message: TargetMessage | undefined,
  checkPayload: PayloadCheck,
  scope: TemplateScope,
): Promise<Target | null> {
  const given = orderedTarget(message ?? TargetMessage.fromPartial({}));
  const bytes = TargetMessage.encode(given).finish();
  const sample = sampleTarget(faults, field, given, bytes, scope);
  const { kind } = sample;
  if (sample !== given) checkFilledSize(faults, field, sample);
  switch (kind?.$case) {
    case "command":
      checkCommand(faults, `${field}.command`, kind.value);
      return stored(faults, field, given, bytes);
    case "handler":
      await checkHandler(faults, `${field}.handler`, kind.value, checkPayload);
      return stored(faults, field, given, bytes);
    case "grpc": {
      const payload = await checkGrpc(faults, `${field}.grpc`, kind.value, checkPayload);
      const own = withPayload(given, kind.value, payload);
      return stored(faults, field, own, own === given ? bytes : TargetMessage.encode(own).finish());
    }
    case "http":
      checkHttp(faults, `${field}.http`, kind.value);
      return stored(faults, field, given, bytes);
    default:
      faults.add(field, "must have a kind: command, handler, grpc or http");
      return null;
  }
}

/** The target with what is equal in the same order, so that it is stored as the same bytes. */
function orderedTarget(message: TargetMessage): TargetMessage {
  const { kind } = message;
  switch (kind?.$case) {
    case "command":
      return { kind: { $case: "command", value: { ...kind.value, env: sorted(kind.value.env) } } };
    case "grpc":
      return { kind: { $case: "grpc", value: { ...kind.value, metadata: sorted(kind.value.metadata) } } };
    case "http":
      return { kind: { $case: "http", value: { ...kind.value, headers: sorted(kind.value.headers) } } };
    default:
      return message;
  }
}

/** A gRPC call with its payload as the check made it; as given where a template has to be filled in first. */
function withPayload(given: TargetMessage, sample: GrpcTarget, payload: GrpcTarget["payload"]): TargetMessage {
  const { kind } = given;
  if (kind?.$case !== "grpc" || sample.payload !== kind.value.payload || payload === sample.payload) return given;
  return { kind: { $case: "grpc", value: { ...kind.value, payload } } };
}

function checkFilledSize(faults: FieldFaults, field: string, sample: TargetMessage): void {
  const size = TargetMessage.encode(sample).finish().length;
  if (size <= MAX_TARGET_BYTES) return;
  faults.add(field, `must be at most ${MAX_TARGET_BYTES} bytes when its templates are filled in; may get ${size}`);
}

function stored(faults: FieldFaults, field: string, { kind }: TargetMessage, bytes: Uint8Array): Target | null {
  if (kind === undefined) return null;
  if (bytes.length > MAX_TARGET_BYTES) {
    faults.add(field, `must be at most ${MAX_TARGET_BYTES} bytes when serialized; was ${bytes.length}`);
  }
  const summary = summaryOf(kind).slice(0, MAX_SUMMARY_CHARACTERS).toWellFormed();
  return { kind: kind.$case, method: kind.$case === "handler" ? kind.value.method : "", summary, bytes };
}

function summaryOf(kind: NonNullable<TargetMessage["kind"]>): string {
  switch (kind.$case) {
    case "command":
      return [kind.value.command, ...kind.value.args].join(" ");
    case "handler":
    case "grpc":
      return kind.value.method;
    case "http":
      return kind.value.url;
  }
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
  });
  for (const [name, value] of Object.entries(command.env)) {
    const place = `${field}.env[${JSON.stringify(name.slice(0, 64))}]`;
    if (!VARIABLE_PATTERN.test(name)) faults.add(place, "name must be [A-Za-z_][A-Za-z0-9_]*");
    if (OWN_VARIABLE_PATTERN.test(name)) faults.add(place, "is a variable that jobmesh sets itself");
    faults.plain(place, value);
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
