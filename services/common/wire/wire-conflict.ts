import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";

/**
 * Whether two versions of a message can read each other: a field number that
 * both have must have the same cardinality and a type that is the same on the
 * wire. Names do not matter there, nor do fields that one version lacks.
 */

/** Pairs of messages that are compared; two versions of a message have about one for each message inside. */
const MAX_COMPARED = 10_000;

/** What keeps two versions of a message from reading each other, for a person; null when nothing does. */
export function wireConflict(one: DescMessage, other: DescMessage): string | null {
  const seen = new Set<string>();
  const waiting: [DescMessage, DescMessage][] = [];
  const compare = (a: DescMessage, b: DescMessage): void => {
    const pair = `${a.typeName} ${b.typeName}`;
    if (seen.has(pair)) return;
    seen.add(pair);
    waiting.push([a, b]);
  };
  compare(one, other);
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (seen.size > MAX_COMPARED) return `more than ${MAX_COMPARED} messages are inside of each other`;
    const conflict = fieldsConflict(...next, compare);
    if (conflict !== null) return conflict;
  }
  return null;
}

type Compare = (a: DescMessage, b: DescMessage) => void;

function fieldsConflict(a: DescMessage, b: DescMessage, compare: Compare): string | null {
  const others = new Map(b.fields.map((field) => [field.number, field]));
  for (const field of a.fields) {
    const other = others.get(field.number);
    others.delete(field.number);
    if (other === undefined) {
      if (isRequired(field)) return `${a.typeName}.${field.name} is required in one version and not in the other`;
      continue;
    }
    const [left, right] = [kindOf(field), kindOf(other)];
    if (left !== right)
      return `field ${field.number} of ${a.typeName} is ${left} in one version and ${right} in the other`;
    // The message in the field, in the entries of a list, or in the values of a map.
    if (field.message !== undefined && other.message !== undefined) compare(field.message, other.message);
  }
  for (const field of others.values()) {
    if (isRequired(field)) return `${b.typeName}.${field.name} is required in one version and not in the other`;
  }
  return null;
}

/** Cardinality and type as the wire has them: what is equal here can be read by either version. */
function kindOf(field: DescField): string {
  const required = isRequired(field) ? "required " : "";
  if (field.fieldKind === "map") return `a map of ${SCALARS[field.mapKey]} to ${valueKind(field)}`;
  return `${required}${field.fieldKind === "list" ? "repeated " : ""}${valueKind(field)}`;
}

function valueKind(field: DescField): string {
  if (field.message !== undefined) {
    return "delimitedEncoding" in field && field.delimitedEncoding ? "a group" : "a message";
  }
  return field.scalar === undefined ? "a varint" : SCALARS[field.scalar];
}

function isRequired(field: DescField): boolean {
  return field.presence === FeatureSet_FieldPresence.LEGACY_REQUIRED;
}

/** Scalars that share a name are the same on the wire; text and bytes are not, as not all bytes are text. */
const SCALARS: Readonly<Record<ScalarType, string>> = {
  [ScalarType.DOUBLE]: "a double",
  [ScalarType.FLOAT]: "a float",
  [ScalarType.INT64]: "a varint",
  [ScalarType.UINT64]: "a varint",
  [ScalarType.INT32]: "a varint",
  [ScalarType.UINT32]: "a varint",
  [ScalarType.BOOL]: "a varint",
  [ScalarType.SINT32]: "a zigzag varint",
  [ScalarType.SINT64]: "a zigzag varint",
  [ScalarType.FIXED64]: "64 bits",
  [ScalarType.SFIXED64]: "64 bits",
  [ScalarType.FIXED32]: "32 bits",
  [ScalarType.SFIXED32]: "32 bits",
  [ScalarType.STRING]: "text",
  [ScalarType.BYTES]: "bytes",
};
