import type { Target } from "../../../gen/jobmesh/v1/job.ts";
import type { TextKind } from "../domain/text-filler.ts";

/** A text's place: its path in proto names below the target, as "command.env[\"A\"]". */
export type TextPlace = { readonly kind: TextKind; readonly field: string };

/** What a text becomes. */
export type TextMap = (text: string, place: TextPlace) => string;

type Kind = NonNullable<Target["kind"]>;
type CommandCase = Extract<Kind, { $case: "command" }>;
type HandlerCase = Extract<Kind, { $case: "handler" }>;
type GrpcCase = Extract<Kind, { $case: "grpc" }>;
type HttpCase = Extract<Kind, { $case: "http" }>;

/** Characters of a key that a place shows. */
const MAX_SHOWN_CHARACTERS = 64;

/**
 * The target with each text that may hold a template mapped: args, env, url,
 * headers, metadata and the strings of JSON payloads (contract, Target). A JSON
 * payload in which nothing changes is the same object afterwards.
 */
export function mapTexts(target: Target, map: TextMap): Target {
  const { kind } = target;
  switch (kind?.$case) {
    case "command":
      return { kind: { $case: "command", value: ofCommand(kind.value, map) } };
    case "handler":
      return { kind: { $case: "handler", value: ofHandler(kind.value, map) } };
    case "grpc":
      return { kind: { $case: "grpc", value: ofGrpc(kind.value, map) } };
    case "http":
      return { kind: { $case: "http", value: ofHttp(kind.value, map) } };
    case undefined:
      return target;
  }
}

function ofCommand(command: CommandCase["value"], map: TextMap): CommandCase["value"] {
  const args = command.args.map((arg, index) => map(arg, { kind: "arg", field: `command.args[${index}]` }));
  return { ...command, args, env: mapped(command.env, { kind: "env", field: "command.env" }, map) };
}

function ofHandler(handler: HandlerCase["value"], map: TextMap): HandlerCase["value"] {
  const { payload } = handler;
  if (payload?.$case !== "requestJson") return handler;
  const value = ofJson(payload.value, "handler.request_json", map);
  return value === payload.value ? handler : { ...handler, payload: { $case: "requestJson", value } };
}

function ofGrpc(grpc: GrpcCase["value"], map: TextMap): GrpcCase["value"] {
  const metadata = mapped(grpc.metadata, { kind: "metadata", field: "grpc.metadata" }, map);
  const { payload } = grpc;
  if (payload?.$case !== "requestJson") return { ...grpc, metadata };
  const value = ofJson(payload.value, "grpc.request_json", map);
  return { ...grpc, metadata, payload: value === payload.value ? payload : { $case: "requestJson", value } };
}

function ofHttp(http: HttpCase["value"], map: TextMap): HttpCase["value"] {
  const url = map(http.url, { kind: "url", field: "http.url" });
  const headers = mapped(http.headers, { kind: "header", field: "http.headers" }, map);
  const { content } = http;
  if (content?.$case !== "json") return { ...http, url, headers };
  const value = ofJson(content.value, "http.json", map);
  return { ...http, url, headers, content: value === content.value ? content : { $case: "json", value } };
}

function mapped(entries: Readonly<Record<string, string>>, place: TextPlace, map: TextMap): Record<string, string> {
  const { kind, field } = place;
  return Object.fromEntries(
    Object.entries(entries).map(([name, text]) => [name, map(text, { kind, field: `${field}[${shown(name)}]` })]),
  );
}

/** A JSON value, which came over the wire and is at most 50 levels deep. */
function ofJson<T>(value: T, field: string, map: TextMap): T;
function ofJson(value: unknown, field: string, map: TextMap): unknown {
  if (typeof value === "string") return map(value, { kind: "json", field });
  if (Array.isArray(value)) {
    const items = value.map((item: unknown, index) => ofJson(item, `${field}[${index}]`, map));
    return items.some((item, index) => item !== value[index]) ? items : value;
  }
  if (typeof value !== "object" || value === null) return value;
  let changed = false;
  const entries = Object.entries(value).map(([name, item]: [string, unknown]) => {
    const next = ofJson(item, `${field}[${shown(name)}]`, map);
    changed ||= next !== item;
    return [name, next] as const;
  });
  return changed ? Object.fromEntries(entries) : value;
}

function shown(name: string): string {
  return JSON.stringify(name.slice(0, MAX_SHOWN_CHARACTERS));
}
