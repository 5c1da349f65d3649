import { fromBinary } from "@bufbuild/protobuf";
import { BinaryReader } from "@bufbuild/protobuf/wire";
import {
  type DescriptorProto,
  type EnumDescriptorProto,
  type FieldDescriptorProto,
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
} from "@bufbuild/protobuf/wkt";

/** Number of the field `file` in google.protobuf.FileDescriptorSet, as a tag. */
const FILE_TAG = (1 << 3) | 2;

interface IndexedFile {
  readonly bytes: Buffer;
  readonly dependencies: readonly string[];
}

/**
 * Finds files of descriptors by what they declare. Files are handed out in the
 * very bytes they came in, so that options nobody here knows survive.
 */
export class DescriptorIndex {
  readonly #files = new Map<string, IndexedFile>();
  readonly #symbols = new Map<string, string>();
  /** File of each extension, by extended message and number. */
  readonly #extensions = new Map<string, Map<number, string>>();

  /**
   * Adds the files of a serialized google.protobuf.FileDescriptorSet. A file
   * whose name is known already stays as it is. Throws on bytes that are no such set.
   */
  add(descriptorSet: Uint8Array): void {
    const reader = new BinaryReader(descriptorSet);
    while (reader.pos < reader.len) {
      const tag = reader.uint32();
      if (tag === FILE_TAG) this.#addFile(Buffer.from(reader.bytes()));
      else reader.skip(tag & 7);
    }
  }

  /** Name of the file that declares a fully qualified symbol, or null. */
  fileOfSymbol(symbol: string): string | null {
    return this.#symbols.get(symbol) ?? null;
  }

  /** Name of the file that declares an extension, or null. */
  fileOfExtension(messageName: string, fieldNumber: number): string | null {
    return this.#extensions.get(messageName)?.get(fieldNumber) ?? null;
  }

  /** Numbers of the extensions of a message, or null when it is not known. */
  extensionsOf(messageName: string): readonly number[] | null {
    const known = this.#extensions.get(messageName);
    if (known !== undefined) return [...known.keys()].sort((left, right) => left - right);
    return this.#symbols.has(messageName) ? [] : null;
  }

  /** A file and all that it imports, itself first; null when it is not known. Imports that nobody gave are left out. */
  closure(fileName: string): ReadonlyMap<string, Buffer> | null {
    if (!this.#files.has(fileName)) return null;
    const found = new Map<string, Buffer>();
    const wanted = [fileName];
    for (let name = wanted.shift(); name !== undefined; name = wanted.shift()) {
      const file = this.#files.get(name);
      if (file === undefined || found.has(name)) continue;
      found.set(name, file.bytes);
      wanted.push(...file.dependencies);
    }
    return found;
  }

  #addFile(bytes: Buffer): void {
    const file = fromBinary(FileDescriptorProtoSchema, bytes);
    if (this.#files.has(file.name)) return;
    this.#files.set(file.name, { bytes, dependencies: file.dependency });
    const prefix = file.package === "" ? "" : `${file.package}.`;
    for (const message of file.messageType) this.#addMessage(message, prefix, file);
    for (const declared of file.enumType) this.#addEnum(declared, prefix, file);
    for (const extension of file.extension) this.#addExtension(extension, prefix, file);
    for (const service of file.service) {
      this.#symbols.set(prefix + service.name, file.name);
      for (const method of service.method) this.#symbols.set(`${prefix}${service.name}.${method.name}`, file.name);
    }
  }

  #addMessage(message: DescriptorProto, prefix: string, file: FileDescriptorProto): void {
    const name = prefix + message.name;
    this.#symbols.set(name, file.name);
    for (const field of message.field) this.#symbols.set(`${name}.${field.name}`, file.name);
    for (const group of message.oneofDecl) this.#symbols.set(`${name}.${group.name}`, file.name);
    for (const nested of message.nestedType) this.#addMessage(nested, `${name}.`, file);
    for (const nested of message.enumType) this.#addEnum(nested, `${name}.`, file);
    for (const extension of message.extension) this.#addExtension(extension, `${name}.`, file);
  }

  #addEnum(declared: EnumDescriptorProto, prefix: string, file: FileDescriptorProto): void {
    this.#symbols.set(prefix + declared.name, file.name);
    for (const value of declared.value) this.#symbols.set(prefix + value.name, file.name);
  }

  #addExtension(extension: FieldDescriptorProto, prefix: string, file: FileDescriptorProto): void {
    this.#symbols.set(prefix + extension.name, file.name);
    const extended = extension.extendee.replace(/^\./, "");
    const known = this.#extensions.get(extended) ?? new Map<number, string>();
    this.#extensions.set(extended, known.set(extension.number, file.name));
  }
}
