import type { GrpcTarget, HandlerTarget } from "../../../gen/jobmesh/v1/job.ts";
import { IDENTIFIER_PATTERN } from "../../common/domain/identifier.ts";
import { type MethodTypes, PayloadFault } from "../../common/wire/json-message.ts";
import type { FieldFaults } from "./field-faults.ts";
import type { KnownTypes } from "./known-types.ts";
import type { RunMethods } from "./run-methods.ts";
import { MAX_PAYLOAD_BYTES } from "./template-check.ts";

/** Checks requests against the descriptors of their methods, and notes what does not fit. */
export type PayloadCheck = {
  /** Of a handler: its method has to be known. */
  handler(faults: FieldFaults, field: string, target: HandlerTarget): Promise<void>;
  /** Of a gRPC call: answers the request in bytes where the method is known, else as it was given. */
  grpc(faults: FieldFaults, field: string, target: GrpcTarget): Promise<GrpcTarget["payload"]>;
};

/** The checks of a namespace. */
export type PayloadChecks = (namespace: string) => PayloadCheck;

/**
 * Checks by the descriptors that executors registered, or somebody put for the namespace: an
 * unknown handler, and a payload that is none of its messages, are refused before
 * anything is stored. A handler that was registered without descriptors is known
 * while an executor has it, and takes any bytes.
 */
export function payloadCheck(known: KnownTypes, run: RunMethods): PayloadChecks {
  // The call is refused anyway: what is no namespace is not asked for, nor kept.
  return (namespace) => (IDENTIFIER_PATTERN.test(namespace) ? checkIn(namespace, known, run) : NO_CHECK);
}

const NO_CHECK: PayloadCheck = { handler: async () => {}, grpc: async (_faults, _field, { payload }) => payload };

function checkIn(namespace: string, known: KnownTypes, run: RunMethods): PayloadCheck {
  return {
    handler: async (faults, field, { method, payload }) => {
      const types = await usable(known, faults, field, namespace, method);
      if (types === undefined) return;
      if (types === null) {
        if (!(await run.has(method))) {
          const why = "and nobody put its descriptors for the namespace";
          faults.add(`${field}.method`, `no executor ever registered a handler ${method}, ${why}`);
        } else if (payload?.$case === "requestJson") {
          faults.add(`${field}.request_json`, `${method} was registered without descriptors: give request in bytes`);
        }
      } else if (payload?.$case === "requestJson") {
        attempted(faults, `${field}.request_json`, () => types.encodeRequest(method, payload.value));
      } else {
        const bytes = payload?.value ?? Buffer.alloc(0);
        attempted(faults, `${field}.request`, () => types.checkRequest(method, bytes));
      }
    },
    grpc: async (faults, field, { method, payload }) => {
      const types = await usable(known, faults, field, namespace, method);
      if (types == null) return payload;
      if (!types.isUnary(method)) {
        faults.add(`${field}.method`, `${method} is a stream; only unary methods are called`);
        return payload;
      }
      if (payload?.$case !== "requestJson") {
        const bytes = payload?.value ?? Buffer.alloc(0);
        attempted(faults, `${field}.request`, () => types.checkRequest(method, bytes));
        return payload;
      }
      const bytes = attempted(faults, `${field}.request_json`, () => types.encodeRequest(method, payload.value));
      if (bytes === null) return payload;
      if (bytes.length > MAX_PAYLOAD_BYTES) {
        faults.add(`${field}.request_json`, `must be at most ${MAX_PAYLOAD_BYTES} bytes encoded; was ${bytes.length}`);
      }
      return { $case: "request", value: Buffer.from(bytes) };
    },
  };
}

/** The types of a method; null when there are none, undefined, with the fault noted, when they cannot be used. */
async function usable(
  known: KnownTypes,
  faults: FieldFaults,
  field: string,
  namespace: string,
  method: string,
): Promise<MethodTypes | null | undefined> {
  try {
    return await known.of(namespace, method);
  } catch (error) {
    if (!(error instanceof PayloadFault)) throw error;
    faults.add(`${field}.method`, `the descriptors of ${method} are not usable: ${error.message}`);
    return undefined;
  }
}

/** What a check gives; null, with the fault noted, when the payload does not fit. */
function attempted<T>(faults: FieldFaults, field: string, check: () => T): T | null {
  try {
    return check();
  } catch (error) {
    if (!(error instanceof PayloadFault)) throw error;
    faults.add(field, error.message);
    return null;
  }
}
