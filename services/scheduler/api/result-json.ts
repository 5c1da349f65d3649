import { isUtf8 } from "node:buffer";
import type { Execution } from "../../common/domain/execution.ts";
import { PayloadFault } from "../../common/wire/json-message.ts";
import type { KnownTypes } from "./known-types.ts";

/** Bytes of a result as JSON beside the result itself, as google.protobuf.Value has them: an answer stays far below 4 MiB. */
const MAX_JSON_BYTES = 1024 * 1024;
/** Values inside of each other: three messages each, and parsers of protobuf read 100 inside of each other. */
const MAX_JSON_DEPTH = 30;
/** Bytes of a number, and of what stands around any value. */
const VALUE_BYTES = 12;

/**
 * What an execution returned as JSON: a response message by its descriptor, as
 * stored descriptors have it now, and an HTTP answer that is JSON. undefined
 * where it returned nothing, where the descriptor is not known or does not fit,
 * and where the JSON would be too large or too deep for an answer.
 */
export async function resultJson(types: KnownTypes, execution: Execution): Promise<unknown> {
  const { result, state } = execution;
  if (state !== "SUCCEEDED" || result === null) return undefined;
  const json = await decoded(types, execution, result);
  return json !== undefined && roomAfter(json, MAX_JSON_BYTES, MAX_JSON_DEPTH) >= 0 ? json : undefined;
}

async function decoded(types: KnownTypes, { namespace, target }: Execution, result: Uint8Array): Promise<unknown> {
  switch (target.kind) {
    case "command":
      return undefined;
    case "http":
      return parsed(result);
    case "handler":
    case "grpc":
      return await decodedMessage(types, namespace, target.kind === "handler" ? target.method : target.summary, result);
  }
}

async function decodedMessage(
  types: KnownTypes,
  namespace: string,
  method: string,
  result: Uint8Array,
): Promise<unknown> {
  try {
    return (await types.of(namespace, method))?.decodeResponse(method, result);
  } catch (error) {
    if (error instanceof PayloadFault) return undefined;
    throw error;
  }
}

function parsed(body: Uint8Array): unknown {
  if (body.length === 0 || !isUtf8(body)) return undefined;
  try {
    return JSON.parse(Buffer.from(body).toString("utf8"));
  } catch {
    return undefined;
  }
}

/** Bytes that are left of some after a value, as google.protobuf.Value has it; negative when it is too large or too deep. */
function roomAfter(json: unknown, bytes: number, depth: number): number {
  let room = bytes - VALUE_BYTES;
  if (typeof json === "string") return room - Buffer.byteLength(json);
  if (typeof json !== "object" || json === null) return room;
  if (depth === 0) return -1;
  for (const [key, value] of Object.entries(json)) {
    if (room < 0) break;
    const named = Array.isArray(json) ? 0 : VALUE_BYTES + Buffer.byteLength(key);
    room = roomAfter(value, room - named, depth - 1);
  }
  return room;
}
