import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";

/** One field as it stands on the wire: bytes as they are, or the fields of a message. */
export type WirePart = {
  readonly number: number;
  readonly wireType: number;
  readonly value: Uint8Array | readonly WirePart[];
};

/** Takes valid bytes of a message apart, messages in it among them. Throws on bytes that are no message. */
export function readParts(bytes: Uint8Array, message: DescMessage): WirePart[] {
  const reader = new BinaryReader(bytes);
  const parts: WirePart[] = [];
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    if (wireType !== WireType.LengthDelimited) {
      parts.push({ number, wireType, value: reader.skip(wireType, number) });
      continue;
    }
    const value = reader.bytes();
    const inner = messageOf(message.fields.find((field) => field.number === number));
    parts.push({ number, wireType, value: inner === null ? value : readParts(value, inner) });
  }
  return parts;
}

/** The bytes of fields, whatever they are: also such as no writer makes. */
export function writeParts(parts: readonly WirePart[]): Buffer {
  const chunks: Uint8Array[] = [];
  for (const { number, wireType, value } of parts) {
    const bytes = value instanceof Uint8Array ? value : writeParts(value);
    chunks.push(varint(BigInt(number) * 8n + BigInt(wireType)));
    if (wireType === WireType.LengthDelimited) chunks.push(varint(BigInt(bytes.length)));
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
}

/** A whole number as a varint of up to ten bytes; negative ones as the contract's int32 and int64 have them. */
export function varint(value: bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}

/** The message that a field holds; null for scalars, enums and maps, whose entries stay as they are. */
export function messageOf(field: DescField | undefined): DescMessage | null {
  if (field?.fieldKind === "message") return field.message;
  return field?.fieldKind === "list" && field.listKind === "message" ? field.message : null;
}

/** How a scalar stands on the wire. */
export function wireTypeOf(scalar: ScalarType): number {
  switch (scalar) {
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return WireType.LengthDelimited;
    case ScalarType.DOUBLE:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return WireType.Bit64;
    case ScalarType.FLOAT:
    case ScalarType.FIXED32:
    case ScalarType.SFIXED32:
      return WireType.Bit32;
    default:
      return WireType.Varint;
  }
}
