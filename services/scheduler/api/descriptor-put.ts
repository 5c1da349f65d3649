import { createHash } from "node:crypto";
import type { PutDescriptorsRequest, PutDescriptorsResponse } from "../../../gen/jobmesh/v1/mesh_service.ts";
import type { Store } from "../../common/port/store.ts";
import { MethodTypes, PayloadFault } from "../../common/wire/json-message.ts";
import { MAX_DESCRIPTOR_SET_BYTES } from "../sessions/descriptor-intake.ts";
import { FieldFaults } from "./field-faults.ts";
import { DEFAULT_NAMESPACE } from "./job-reader.ts";
import { MAX_METHOD_CHARACTERS } from "./method-check.ts";

/** Methods of one set. */
const MAX_SET_METHODS = 1_000;

/**
 * PutDescriptors: stores descriptors before any executor registers them, as
 * the latest of their methods in one namespace. Those that executors register
 * are the whole mesh's, as executors are.
 */
export async function putDescriptors(store: Store, request: PutDescriptorsRequest): Promise<PutDescriptorsResponse> {
  const faults = new FieldFaults();
  const namespace = faults.identifier("namespace", request.namespace, DEFAULT_NAMESPACE);
  const bytes = request.descriptorSet;
  const methods = readMethods(faults, bytes);
  faults.throwIfAny();
  const hash = createHash("sha256").update(bytes).digest("hex");
  await store.descriptors.put({ hash, bytes, methods }, namespace);
  return { methods: [...methods] };
}

/** Unary methods of a set, in order of their names. */
function readMethods(faults: FieldFaults, bytes: Uint8Array): readonly string[] {
  const field = "descriptor_set";
  if (bytes.length > MAX_DESCRIPTOR_SET_BYTES) {
    faults.add(field, `must be at most ${MAX_DESCRIPTOR_SET_BYTES} bytes; was ${bytes.length}`);
    return [];
  }
  const methods = methodsOf(faults, field, bytes);
  if (methods === null) return [];
  if (methods.length === 0) faults.add(field, "must have a service with a unary method");
  if (methods.length > MAX_SET_METHODS) {
    faults.add(field, `must have at most ${MAX_SET_METHODS} unary methods; had ${methods.length}`);
  }
  if (methods.some((method) => method.length > MAX_METHOD_CHARACTERS)) {
    faults.add(field, `must have methods with names of at most ${MAX_METHOD_CHARACTERS} characters`);
  }
  return methods.toSorted();
}

function methodsOf(faults: FieldFaults, field: string, bytes: Uint8Array): readonly string[] | null {
  try {
    return new MethodTypes(bytes).methods();
  } catch (error) {
    if (!(error instanceof PayloadFault)) throw error;
    faults.add(field, `is ${error.message}`);
    return null;
  }
}
