import type { GrpcTarget, HandlerTarget } from "../../../gen/jobmesh/v1/job.ts";
import type { Clock } from "../../common/port/clock.ts";
import type { DescriptorStore } from "../../common/port/store-descriptors.ts";
import type { ExecutorStore } from "../../common/port/store-executors.ts";
import { MethodTypes, PayloadFault } from "../../common/wire/json-message.ts";
import type { FieldFaults } from "./field-faults.ts";
import { MAX_PAYLOAD_BYTES } from "./template-check.ts";

/** Parsed descriptor sets that are kept; the oldest goes. */
const MAX_PARSED_SETS = 256;
/** How long what was read counts, milliseconds. */
const MAX_AGE_MS = 1_000;

/** Checks requests against the descriptors of their methods, and notes what does not fit. */
export type PayloadCheck = {
  /** Of a handler: its method has to be known. */
  handler(faults: FieldFaults, field: string, target: HandlerTarget): Promise<void>;
  /** Of a gRPC call: answers the request in bytes where the method is known, else as it was given. */
  grpc(faults: FieldFaults, field: string, target: GrpcTarget): Promise<GrpcTarget["payload"]>;
};

/** Where methods are known from. */
export type MethodStores = {
  readonly descriptors: Pick<DescriptorStore, "forMethod">;
  readonly executors: Pick<ExecutorStore, "live">;
};

/**
 * Checks by the descriptors that executors registered, or somebody put: an
 * unknown handler, and a payload that is none of its messages, are refused before
 * anything is stored. A handler that was registered without descriptors is known
 * while an executor has it, and takes any bytes.
 */
export function payloadCheck(stores: MethodStores, clock: Clock): PayloadCheck {
  const known = new KnownTypes(stores, clock);
  return {
    handler: async (faults, field, { method, payload }) => {
      const types = await known.of(method);
      if (types === null) {
        if (!(await known.isRun(method))) {
          faults.add(`${field}.method`, `no executor ever registered a handler ${method}`);
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
      const types = await known.of(method);
      if (types === null) return payload;
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

/** A look at what live executors run; `methods` is null until it is done. */
type RunningReading = {
  readonly reading: Promise<ReadonlySet<string>>;
  readonly readMs: number;
  methods: ReadonlySet<string> | null;
};

/**
 * Types by method, read from the store anew after a second: a new executor may
 * have brought newer ones. Requests that ask meanwhile wait for one reading.
 */
class KnownTypes {
  readonly #stores: MethodStores;
  readonly #clock: Clock;
  readonly #byMethod = new Map<string, { readonly reading: Promise<MethodTypes | null>; readonly readMs: number }>();
  readonly #byHash = new Map<string, MethodTypes>();
  #running: RunningReading | null = null;

  constructor(stores: MethodStores, clock: Clock) {
    this.#stores = stores;
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

  /** True when a live executor has a handler of the method. What is not there is looked for again by the next one. */
  async isRun(method: string): Promise<boolean> {
    const nowMs = this.#clock.monotonicMs();
    const last = this.#running;
    if (last !== null && last.methods === null) return (await last.reading).has(method);
    if (last?.methods?.has(method) && nowMs - last.readMs < MAX_AGE_MS) return true;
    const begun: RunningReading = { reading: this.#readRunning(), readMs: nowMs, methods: null };
    this.#running = begun;
    try {
      begun.methods = await begun.reading;
    } catch (error) {
      this.#running = null;
      throw error;
    }
    return begun.methods.has(method);
  }

  async #read(method: string): Promise<MethodTypes | null> {
    const set = await this.#stores.descriptors.forMethod(method);
    if (set === null) return null;
    const types = this.#byHash.get(set.hash) ?? new MethodTypes(set.bytes);
    keep(this.#byHash, set.hash, types);
    return types;
  }

  async #readRunning(): Promise<ReadonlySet<string>> {
    const methods = new Set<string>();
    for (const { capabilities } of await this.#stores.executors.live()) {
      for (const capability of capabilities) if (capability.kind === "handler") methods.add(capability.method);
    }
    return methods;
  }
}

function keep<V>(map: Map<string, V>, key: string, value: V): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > MAX_PARSED_SETS) map.delete(map.keys().next().value ?? "");
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
