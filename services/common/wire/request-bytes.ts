import { isUtf8 } from "node:buffer";
import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";

/** Messages inside messages, as protobuf's own parsers have it. */
const MAX_DEPTH = 100;

/** Where bytes stop being a message, and why. */
export type BytesFault = { readonly path: string; readonly reason: string };

/**
 * Reads bytes as a message and answers the first thing that is wrong, null when
 * nothing is. A library's parser is content with less: it takes a varint for
 * the length of a text, and its errors name no field. Fields that the message
 * does not have are passed over, as a newer caller may know more of them.
 */
export function bytesFault(message: DescMessage, bytes: Uint8Array): BytesFault | null {
  const walk = new Walk();
  try {
    walk.message(message, bytes, "", 0);
    return null;
  } catch (error) {
    return { path: walk.path, reason: error instanceof Error ? error.message : String(error) };
  }
}

/** One reading; `path` is the field that it is in. */
class Walk {
  path = "";

  message(message: DescMessage, bytes: Uint8Array, path: string, depth: number): void {
    if (depth > MAX_DEPTH) throw new RangeError(`more than ${MAX_DEPTH} messages inside each other`);
    const fields = new Map(message.fields.map((field) => [field.number, field]));
    const counts = new Map<number, number>();
    const reader = new BinaryReader(bytes);
    while (reader.pos < reader.len) {
      this.path = path;
      const [number, wireType] = reader.tag();
      const field = fields.get(number);
      if (field === undefined) {
        reader.skip(wireType, number);
        continue;
      }
      const index = counts.get(number) ?? 0;
      counts.set(number, index + 1);
      const name = path === "" ? field.name : `${path}.${field.name}`;
      this.path = field.fieldKind === "list" ? `${name}[${index}]` : name;
      this.#value(field, wireType, reader, depth);
    }
    this.path = path;
  }

  #value(field: DescField, wireType: WireType, reader: BinaryReader, depth: number): void {
    const wanted = wireTypeOf(field);
    const isPacked = field.fieldKind === "list" && wireType === WireType.LengthDelimited && isPackable(wanted);
    if (wireType !== wanted && !isPacked) {
      throw new TypeError(`is ${WIRE_NAMES[wireType]} where ${WIRE_NAMES[wanted]} belongs`);
    }
    if (wireType !== WireType.LengthDelimited) return void reader.skip(wireType, field.number);
    const bytes = reader.bytes();
    if (isPacked) return packed(bytes, wanted);
    if (field.message !== undefined) return this.message(field.message, bytes, this.path, depth + 1);
    if (field.fieldKind === "map") return this.#entry(field, bytes, depth);
    if (field.scalar === ScalarType.STRING) text(bytes);
  }

  /** An entry of a map is a message of key and value. */
  #entry(field: DescField & { fieldKind: "map" }, bytes: Uint8Array, depth: number): void {
    const reader = new BinaryReader(bytes);
    const path = this.path;
    while (reader.pos < reader.len) {
      const [number, wireType] = reader.tag();
      if (number === 1 && field.mapKey === ScalarType.STRING) text(reader.bytes());
      else if (number === 2 && field.mapKind === "message") {
        this.message(field.message, reader.bytes(), path, depth + 1);
      } else if (number === 2 && field.scalar === ScalarType.STRING) text(reader.bytes());
      else reader.skip(wireType, number);
    }
    this.path = path;
  }
}

function text(bytes: Uint8Array): void {
  if (!isUtf8(bytes)) throw new TypeError("is no UTF-8");
}

function packed(bytes: Uint8Array, wireType: WireType): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) reader.skip(wireType);
}

function isPackable(wireType: WireType): boolean {
  return wireType === WireType.Varint || wireType === WireType.Bit32 || wireType === WireType.Bit64;
}

function wireTypeOf(field: DescField): WireType {
  if (field.fieldKind === "map") return WireType.LengthDelimited;
  if (field.message !== undefined) {
    const isGroup = "delimitedEncoding" in field && field.delimitedEncoding;
    return isGroup ? WireType.StartGroup : WireType.LengthDelimited;
  }
  return field.scalar === undefined ? WireType.Varint : SCALAR_WIRE_TYPES[field.scalar];
}

const SCALAR_WIRE_TYPES: Readonly<Record<ScalarType, WireType>> = {
  [ScalarType.DOUBLE]: WireType.Bit64,
  [ScalarType.FLOAT]: WireType.Bit32,
  [ScalarType.INT64]: WireType.Varint,
  [ScalarType.UINT64]: WireType.Varint,
  [ScalarType.INT32]: WireType.Varint,
  [ScalarType.FIXED64]: WireType.Bit64,
  [ScalarType.FIXED32]: WireType.Bit32,
  [ScalarType.BOOL]: WireType.Varint,
  [ScalarType.STRING]: WireType.LengthDelimited,
  [ScalarType.BYTES]: WireType.LengthDelimited,
  [ScalarType.UINT32]: WireType.Varint,
  [ScalarType.SFIXED32]: WireType.Bit32,
  [ScalarType.SFIXED64]: WireType.Bit64,
  [ScalarType.SINT32]: WireType.Varint,
  [ScalarType.SINT64]: WireType.Varint,
};

const WIRE_NAMES: Readonly<Record<WireType, string>> = {
  [WireType.Varint]: "a varint",
  [WireType.Bit64]: "64 bits",
  [WireType.LengthDelimited]: "text, bytes or a message",
  [WireType.StartGroup]: "a group",
  [WireType.EndGroup]: "the end of a group",
  [WireType.Bit32]: "32 bits",
};
