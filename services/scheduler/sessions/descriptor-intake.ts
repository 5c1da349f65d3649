import { createHash } from "node:crypto";
import { fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import type { ExecutorProfile } from "../../common/domain/executor.ts";
import { JobmeshError } from "../../common/error/jobmesh-error.ts";
import type { DescriptorSet, DescriptorStore } from "../../common/port/store-descriptors.ts";

/** Rule 28's bound for one set of descriptors. */
export const MAX_DESCRIPTOR_SET_BYTES = 1024 * 1024;

/** Hashes of the descriptor sets that an executor's handlers name, each once. */
export function descriptorHashes(profile: ExecutorProfile): readonly string[] {
  const hashes = new Set<string>();
  for (const capability of profile.capabilities) {
    if (capability.kind === "handler" && capability.descriptorHash !== "") hashes.add(capability.descriptorHash);
  }
  return [...hashes];
}

/**
 * Reads descriptor sets that an executor sent. Throws INVALID_FIELD for one
 * that its Hello does not name, that is too large or is none, and for a
 * handler whose set does not have its method.
 */
export function readDescriptorSets(profile: ExecutorProfile, sets: readonly Uint8Array[]): readonly DescriptorSet[] {
  const named = new Set(descriptorHashes(profile));
  return sets.map((bytes, index) => {
    const field = `descriptors.descriptor_sets[${index}]`;
    if (bytes.length > MAX_DESCRIPTOR_SET_BYTES) {
      throw invalid(field, `must be at most ${MAX_DESCRIPTOR_SET_BYTES} bytes; was ${bytes.length}`);
    }
    const hash = createHash("sha256").update(bytes).digest("hex");
    if (!named.has(hash)) throw invalid(field, "has a SHA-256 that no capability names");
    const methods = methodsOf(bytes, field);
    for (const capability of profile.capabilities) {
      if (capability.kind !== "handler" || capability.descriptorHash !== hash) continue;
      if (!methods.includes(capability.method)) throw invalid(field, `does not have the method ${capability.method}`);
    }
    return { hash, bytes, methods };
  });
}

/** Stores descriptor sets. */
export async function storeDescriptorSets(store: DescriptorStore, sets: readonly DescriptorSet[]): Promise<void> {
  for (const set of sets) await store.put(set);
}

/** Full names of the unary methods, "package.Service/Method". */
function methodsOf(bytes: Uint8Array, field: string): readonly string[] {
  const methods: string[] = [];
  try {
    for (const file of fromBinary(FileDescriptorSetSchema, bytes).file) {
      const prefix = file.package === "" ? "" : `${file.package}.`;
      for (const service of file.service) {
        for (const method of service.method) {
          // A handler answers one request with one response.
          if (method.clientStreaming || method.serverStreaming) continue;
          methods.push(`${prefix}${service.name}/${method.name}`);
        }
      }
    }
  } catch {
    throw invalid(field, "is not a google.protobuf.FileDescriptorSet");
  }
  return methods;
}

function invalid(field: string, description: string): JobmeshError {
  return JobmeshError.invalid({ field, description });
}
