import { PayloadFault } from "../../common/wire/json-message.ts";
import type { FieldFaults } from "./field-faults.ts";
import type { KnownTypes } from "./known-types.ts";
import type { PayloadCheck } from "./target-check.ts";

/**
 * Checks requests of typed handlers against the descriptors that executors
 * registered or callers put: an unknown method, and a payload that is none of
 * its messages, are refused before anything is stored.
 */
export function payloadCheck(known: KnownTypes): PayloadCheck {
  return async (faults, field, handler) => {
    const { method, payload } = handler;
    const types = await known.of(method).catch((error: unknown) => {
      if (error instanceof PayloadFault) return error;
      throw error;
    });
    if (types instanceof PayloadFault) {
      faults.add(`${field}.method`, `the descriptors of ${method} are not usable: ${types.message}`);
      return;
    }
    if (types === null) {
      faults.add(`${field}.method`, `no executor ever registered a handler ${method}, and nobody put its descriptors`);
      return;
    }
    if (payload?.$case === "requestJson") {
      noteFault(faults, `${field}.request_json`, () => types.encodeRequest(method, payload.value));
    } else {
      const bytes = payload?.value ?? Buffer.alloc(0);
      noteFault(faults, `${field}.request`, () => types.checkRequest(method, bytes));
    }
  };
}

function noteFault(faults: FieldFaults, field: string, check: () => unknown): void {
  try {
    check();
  } catch (error) {
    if (!(error instanceof PayloadFault)) throw error;
    faults.add(field, error.message);
  }
}
