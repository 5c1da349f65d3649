import type { Clock } from "../../common/port/clock.ts";
import type { DescriptorStore } from "../../common/port/store-descriptors.ts";
import { MethodTypes, PayloadFault } from "../../common/wire/json-message.ts";
import type { FieldFaults } from "./field-faults.ts";
import type { PayloadCheck } from "./target-check.ts";

/** Parsed descriptor sets that are kept; the oldest goes. */
const MAX_PARSED_SETS = 256;
/** How long what was read counts, milliseconds. */
const MAX_AGE_MS = 1_000;

/**
 * Checks requests of typed handlers against the descriptors that executors
 * registered: an unknown method, and a payload that is none of its messages,
 * are refused before anything is stored.
 */
export function payloadCheck(descriptors: DescriptorStore, clock: Clock): PayloadCheck {
  const known = new KnownTypes(descriptors, clock);
  return async (faults, field, handler) => {
    const types = await known.of(handler.method);
    if (types === null) {
      faults.add(`${field}.method`, `no executor ever registered a handler ${handler.method}`);
      return;
    }
    const { payload } = handler;
    if (payload?.$case === "requestJson") {
      noteFault(faults, `${field}.request_json`, () => types.encodeRequest(handler.method, payload.value));
    } else {
      const bytes = payload?.value ?? Buffer.alloc(0);
      noteFault(faults, `${field}.request`, () => types.checkRequest(handler.method, bytes));
    }
  };
}

/**
 * Types by method, read from the store anew after a second: a new executor may
 * have brought newer ones. Requests that ask meanwhile wait for one reading.
 */
class KnownTypes {
  readonly #descriptors: DescriptorStore;
  readonly #clock: Clock;
  readonly #byMethod = new Map<string, { readonly reading: Promise<MethodTypes | null>; readonly readMs: number }>();
  readonly #byHash = new Map<string, MethodTypes>();

  constructor(descriptors: DescriptorStore, clock: Clock) {
    this.#descriptors = descriptors;
    this.#clock = clock;
  }

  /** null when none was ever registered. */
  of(method: string): Promise<MethodTypes | null> {
    const nowMs = this.#clock.monotonicMs();
    const entry = this.#byMethod.get(method);
    if (entry !== undefined && nowMs - entry.readMs < MAX_AGE_MS) return entry.reading;
    const reading = this.#read(method);
    keep(this.#byMethod, method, { reading, readMs: nowMs });
    // What was not found, or could not be read, is asked for again by the next one.
    const forget = (): void => {
      if (this.#byMethod.get(method)?.reading === reading) this.#byMethod.delete(method);
    };
    reading.then((types) => types === null && forget(), forget);
    return reading;
  }

  async #read(method: string): Promise<MethodTypes | null> {
    const set = await this.#descriptors.forMethod(method);
    if (set === null) return null;
    const types = this.#byHash.get(set.hash) ?? new MethodTypes(set.bytes);
    keep(this.#byHash, set.hash, types);
    return types;
  }
}

function keep<V>(map: Map<string, V>, key: string, value: V): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > MAX_PARSED_SETS) map.delete(map.keys().next().value ?? "");
}

function noteFault(faults: FieldFaults, field: string, check: () => unknown): void {
  try {
    check();
  } catch (error) {
    if (!(error instanceof PayloadFault)) throw error;
    faults.add(field, error.message);
  }
}
