import { createHash } from "node:crypto";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type FileDescriptorProto, type FileDescriptorSet, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { JobmeshError } from "../../common/error/jobmesh-error.ts";

/** A handler's descriptors: what schedulers check requests and show results by. */
export type MethodDescriptors = {
  /** SHA-256 of the bytes in hex. */
  readonly hash: string;
  /** Serialized FileDescriptorSet: the method's file and all that it imports, imports first, options kept. */
  readonly bytes: Uint8Array;
};

/** At most this many bytes of descriptors for one handler. */
export const MAX_DESCRIPTOR_BYTES = 1024 * 1024;

/**
 * Cuts a FileDescriptorSet down to what one method needs, so that its hash
 * changes only when that does. Throws CONFIG_INVALID when the bytes are none, or
 * lack the method or an import, or are too large.
 *
 * @param method "package.Service/Method".
 */
export function methodDescriptors(descriptorSet: Uint8Array, method: string): MethodDescriptors {
  const set = parse(descriptorSet);
  const file = set.file.find((candidate) => hasMethod(candidate, method));
  if (file === undefined) throw invalid(`the descriptors do not have ${method}`);
  const files = new Map(set.file.map((each) => [each.name, each]));
  const needed = new Set<FileDescriptorProto>();
  collect(file, files, needed);
  const bytes = toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, { file: [...needed] }));
  if (bytes.length > MAX_DESCRIPTOR_BYTES) {
    throw invalid(`the descriptors of ${method} have ${bytes.length} bytes; at most ${MAX_DESCRIPTOR_BYTES} are taken`);
  }
  return { hash: createHash("sha256").update(bytes).digest("hex"), bytes };
}

function parse(descriptorSet: Uint8Array): FileDescriptorSet {
  try {
    return fromBinary(FileDescriptorSetSchema, descriptorSet);
  } catch (cause) {
    throw new JobmeshError("CONFIG_INVALID", { message: "the descriptors are no FileDescriptorSet", cause });
  }
}

function hasMethod(file: FileDescriptorProto, method: string): boolean {
  const prefix = file.package === "" ? "" : `${file.package}.`;
  return file.service.some(({ name, method: methods }) =>
    methods.some((each) => `${prefix}${name}/${each.name}` === method),
  );
}

/** Imports before what imports them, each once. */
function collect(
  file: FileDescriptorProto,
  files: ReadonlyMap<string, FileDescriptorProto>,
  into: Set<FileDescriptorProto>,
): void {
  if (into.has(file)) return;
  for (const name of file.dependency) {
    const imported = files.get(name);
    if (imported === undefined) throw invalid(`the descriptors lack ${name}, which ${file.name} imports`);
    collect(imported, files, into);
  }
  into.add(file);
}

function invalid(message: string): JobmeshError {
  return new JobmeshError("CONFIG_INVALID", { message });
}
