import { type DescEnum, type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { WireType } from "@bufbuild/protobuf/wire";
import type { SeededRandom } from "../../sim/random.ts";
import { DOUBLES, NANOS, SECONDS, TEXTS, TEXTS_OF, WHOLES } from "./nasty-values.ts";
import { messageOf, readParts, varint, type WirePart, wireTypeOf, writeParts } from "./wire-tree.ts";

/** Messages within messages that are made at random; google.protobuf.Value goes deeper by itself. */
const MAX_DEPTH = 5;
/** How often a field of a valid request is changed: one change goes deepest, many tell of many faults at once. */
const CHANGE_RATES = [0.01, 0.03, 0.1, 0.3];
/** How deep a deep Value is: more than a program's stack may like. */
const DEEP = [60, 101, 1_500, 6_000];

/** Makes random requests of a message's type, and spoils valid ones. What is drawn is the same for a seed. */
export class RandomMessage {
  readonly #random: SeededRandom;
  readonly #executionIds: readonly string[];
  #changeRate = 0;

  /** @param executionIds of executions that are there. */
  constructor(random: SeededRandom, executionIds: readonly string[]) {
    this.#random = random;
    this.#executionIds = executionIds;
  }

  /** A request: random from nothing, a valid one with a few fields changed, or its bytes spoilt. */
  request(message: DescMessage, valid: readonly Uint8Array[]): Buffer {
    const drawn = this.#random.unit();
    if (valid.length === 0 || drawn < 0.2) return writeParts(this.#message(message, 0));
    return drawn < 0.85 ? this.likely(message, valid) : this.#spoilt(Buffer.from(this.#pick(valid)));
  }

  /** A valid one as it is, or with a few fields changed: where what comes behind it is to be looked at too. */
  likely(message: DescMessage, valid: readonly Uint8Array[]): Buffer {
    if (valid.length === 0) return writeParts(this.#message(message, 0));
    const pattern = this.#pick(valid);
    if (this.#random.chance(0.1)) return Buffer.from(pattern);
    this.#changeRate = this.#pick(CHANGE_RATES);
    return writeParts(this.#mutated(readParts(pattern, message), message, 0));
  }

  #message(message: DescMessage, depth: number): WirePart[] {
    const special = this.#wellKnown(message);
    if (special !== null) return special;
    const wanted = this.#random.below(4) + (depth === 0 ? 1 : 0);
    const parts: WirePart[] = [];
    for (let made = 0; made < wanted && message.fields.length > 0; made += 1) {
      parts.push(...this.#field(this.#pick(message.fields), depth));
    }
    return parts;
  }

  /** Changes fields at the rate that was drawn, and adds some at the same. */
  #mutated(parts: readonly WirePart[], message: DescMessage, depth: number): WirePart[] {
    const changed = parts.flatMap((part): readonly WirePart[] => {
      const field = message.fields.find(({ number }) => number === part.number);
      const inner = messageOf(field);
      if (this.#random.chance(this.#changeRate)) return this.#change(part, field, depth);
      if (inner === null || part.value instanceof Uint8Array) return [part];
      return [{ ...part, value: this.#mutated(part.value, inner, depth + 1) }];
    });
    if (message.fields.length > 0 && this.#random.chance(this.#changeRate)) {
      changed.push(...this.#field(this.#pick(message.fields), depth));
    }
    if (this.#random.chance(0.02)) changed.push(this.#unknown());
    return changed;
  }

  #change(part: WirePart, field: DescField | undefined, depth: number): readonly WirePart[] {
    const drawn = this.#random.below(10);
    if (drawn === 0) return [];
    if (drawn === 1) return [part, part];
    return field === undefined ? [this.#unknown()] : this.#field(field, depth);
  }

  /** A field that the contract does not know, or a known number under a type that is not its own. */
  #unknown(): WirePart {
    const number = this.#pick([1, 2, 3, 7, 99, 19_000, 536_870_911]);
    if (this.#random.chance(0.5)) return { number, wireType: WireType.Varint, value: varint(this.#pick(WHOLES)) };
    return { number, wireType: WireType.LengthDelimited, value: this.#pick(TEXTS) };
  }

  #field(field: DescField, depth: number): readonly WirePart[] {
    switch (field.fieldKind) {
      case "message":
        return depth >= MAX_DEPTH ? [] : [delimited(field.number, this.#message(field.message, depth + 1))];
      case "map":
        return this.#several(() => delimited(field.number, this.#entry(field, depth)));
      case "list": {
        const { message, scalar } = field;
        const depthLeft = depth < MAX_DEPTH;
        if (message) {
          return this.#several(() => delimited(field.number, depthLeft ? this.#message(message, depth + 1) : []));
        }
        return this.#several(() =>
          field.listKind === "enum" ? this.#enum(field.number, field.enum) : this.#scalar(field, scalar as ScalarType),
        );
      }
      case "enum":
        return [this.#enum(field.number, field.enum)];
      case "scalar":
        return [this.#scalar(field, field.scalar)];
    }
  }

  #entry(field: DescField & { fieldKind: "map" }, depth: number): WirePart[] {
    const key: WirePart = { number: 1, wireType: WireType.LengthDelimited, value: this.#pick(TEXTS) };
    const value = field.message
      ? delimited(2, depth < MAX_DEPTH ? this.#message(field.message, depth + 1) : [])
      : { number: 2, wireType: WireType.LengthDelimited, value: this.#pick(TEXTS) };
    return this.#random.chance(0.95) ? [key, value] : [value];
  }

  /** Few mostly, and rarely more than any limit of labels, states or keys. */
  #several(make: () => WirePart): WirePart[] {
    const count = this.#random.chance(0.02) ? 70 : 1 + this.#random.below(3);
    return Array.from({ length: count }, make);
  }

  #enum(number: number, desc: DescEnum): WirePart {
    const known = this.#pick(desc.values).number;
    const value = this.#random.chance(0.85) ? known : this.#pick([desc.values.length, 99, -1, 2 ** 31 - 1]);
    return { number, wireType: WireType.Varint, value: varint(BigInt(value)) };
  }

  #scalar(field: DescField, scalar: ScalarType): WirePart {
    const wireType = wireTypeOf(scalar);
    return { number: field.number, wireType, value: this.#scalarBytes(field, scalar) };
  }

  #scalarBytes(field: DescField, scalar: ScalarType): Uint8Array {
    switch (scalar) {
      case ScalarType.STRING:
        return this.#text(field.name);
      case ScalarType.BYTES:
        return this.#random.chance(0.5) ? this.#pick(TEXTS) : Buffer.from(this.#random.bytes(this.#pick([1, 32, 500])));
      case ScalarType.BOOL:
        return varint(this.#pick([0n, 1n, 1n, 2n]));
      case ScalarType.DOUBLE: {
        const bytes = Buffer.alloc(8);
        bytes.writeDoubleLE(this.#pick(DOUBLES));
        return bytes;
      }
      case ScalarType.FIXED64: {
        const bytes = Buffer.alloc(8);
        bytes.writeBigUInt64LE(BigInt.asUintN(64, this.#pick(WHOLES)));
        return bytes;
      }
      default:
        return varint(this.#random.chance(0.5) ? BigInt(this.#random.below(5)) : this.#pick(WHOLES));
    }
  }

  #text(name: string): Uint8Array {
    if (/(^|_)execution_id$/.test(name) && this.#random.chance(0.6)) {
      return Buffer.from(this.#pick(this.#executionIds));
    }
    const meaning = Object.entries(TEXTS_OF).find(([end]) => name.endsWith(end))?.[1];
    if (meaning !== undefined && (name === "command" || this.#random.chance(0.7))) {
      return Buffer.from(this.#pick(meaning));
    }
    return this.#pick(TEXTS);
  }

  /** Times and JSON, which have rules of their own. */
  #wellKnown(message: DescMessage): WirePart[] | null {
    switch (message.typeName) {
      case "google.protobuf.Timestamp":
      case "google.protobuf.Duration":
        return [
          { number: 1, wireType: WireType.Varint, value: varint(this.#pick(SECONDS)) },
          { number: 2, wireType: WireType.Varint, value: varint(this.#pick(NANOS)) },
        ];
      case "google.protobuf.Value":
        return this.#random.chance(0.1) ? [deepValue(this.#pick(DEEP))] : null;
      default:
        return null;
    }
  }

  /** Bytes changed, left out, put in, cut or doubled, wherever that falls. */
  #spoilt(bytes: Buffer): Buffer {
    let spoilt = bytes;
    for (let left = 1 + this.#random.below(4); left > 0; left -= 1) {
      const at = this.#random.below(spoilt.length + 1);
      const [head, tail] = [spoilt.subarray(0, at), spoilt.subarray(at)];
      const extra = Buffer.from(this.#random.bytes(1 + this.#random.below(4)));
      const choices = [
        () => Buffer.concat([head, extra, tail]),
        () => Buffer.concat([head, extra, tail.subarray(extra.length)]),
        () => Buffer.concat([head, tail.subarray(1)]),
        () => head,
        () => Buffer.concat([spoilt, tail]),
      ];
      spoilt = this.#pick(choices)();
    }
    return spoilt;
  }

  #pick<T>(values: readonly T[]): T {
    const value = values[this.#random.below(values.length)];
    if (value === undefined) throw new Error("nothing to pick from");
    return value;
  }
}

/** A list in a list in a list: Value.list_value (6) of ListValue.values (1). */
function deepValue(depth: number): WirePart {
  const known = deepValues.get(depth);
  if (known !== undefined) return known;
  let made = delimited(6, []);
  for (let left = depth; left > 0; left -= 1) {
    made = delimited(6, [{ number: 1, wireType: WireType.LengthDelimited, value: writeParts([made]) }]);
  }
  deepValues.set(depth, made);
  return made;
}

/** Making one copies its bytes once a level. */
const deepValues = new Map<number, WirePart>();

function delimited(number: number, value: readonly WirePart[]): WirePart {
  return { number, wireType: WireType.LengthDelimited, value };
}
