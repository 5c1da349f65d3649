import { BinaryReader } from "@bufbuild/protobuf/wire";
import type { Target, TargetKind } from "../domain/target.ts";

/** Kinds by the field number that Target.kind has for them. */
const KINDS: readonly (TargetKind | undefined)[] = [undefined, "command", "handler", "grpc", "http"];

/** Field that says what a person calls it: command line, method, method, URL. */
const SUMMARY_FIELDS: Readonly<Record<TargetKind, number>> = { command: 1, handler: 1, grpc: 2, http: 1 };

/**
 * Reads of a serialized jobmesh.v1.Target what stands beside its bytes, without
 * decoding its payload: on an executor's way in this is most of the work.
 * Throws TypeError when it names no kind.
 */
export function targetOfBytes(bytes: Uint8Array): Target {
  const reader = new BinaryReader(bytes);
  let target: Target | null = null;
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    const kind = KINDS[field];
    // As everywhere in protobuf, the last one set is the one that counts.
    if (kind !== undefined && wireType === 2) target = targetOf(kind, reader.bytes(), bytes);
    else reader.skip(wireType, field);
  }
  if (target === null) throw new TypeError("target: names no kind that this version knows");
  return target;
}

function targetOf(kind: TargetKind, content: Uint8Array, bytes: Uint8Array): Target {
  const reader = new BinaryReader(content);
  let summary = "";
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === SUMMARY_FIELDS[kind] && wireType === 2) summary = reader.string();
    else reader.skip(wireType, field);
  }
  return { kind, method: kind === "handler" ? summary : "", summary, bytes };
}
